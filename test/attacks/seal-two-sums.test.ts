import { describe, expect, test } from 'vitest';
import { newRecord } from '../../src/client/group-record.ts';
import { STEP, signaturesMessage } from '../../src/privacy/seal/messages.ts';
import { seal } from '../../src/privacy/seal.ts';
import { consistencyMessage, survivorsMessage } from '../../src/privacy/secure-sum/protocol.ts';
import { sumOfWords } from '../../src/privacy/secure-sum/words.ts';
import { newGroup } from '../../src/round/group.ts';
import { MemoryFolder } from '../support/attacked-client.ts';
import { namesOf, PARAMETERS } from '../support/attacks.ts';
import { contextOf, playRound, SHAPE } from '../support/protected-round.ts';
import { joined, minus, SEALED_ROUND, SealedCast, sealedRound, wordsSum } from '../support/sealed-attacks.ts';

/** Two sums of one round are opened: in a second attempt, or under a second list of the same attempt. They differ by one update. */

const GROUPS = namesOf(5);
const [MISSING = '', ...REST] = GROUPS;

/** A client that does not remember whose sums it helped to open. */
class Forgetful extends MemoryFolder {
  override loadOpened(): number {
    return 0;
  }
}

/** A client that forgets which lists it saw, and does not remember what it answered. */
class Fickle extends MemoryFolder {
  override loadRecord() {
    return { ...super.loadRecord(), sent: null };
  }
  forgetLists(): void {
    for (const step of [STEP.consistency, STEP.open]) this.files.delete(`shown 3 1 ${step}`);
  }
}

const steady = new SealedCast(SEALED_ROUND, { context: contextOf(PARAMETERS) }).updateOf(SEALED_ROUND[0]!);

/** A client takes part in an attempt until it has answered with its share. */
async function answered(folder: MemoryFolder) {
  const round = await sealedRound(() => steady, folder);
  const { client, cast, others, victim, deliver } = round;
  await client.asked(STEP.upload);
  cast.uploads.set(victim, client.sentIn(STEP.upload)[0]!);
  for (const name of others) cast.uploads.set(name, cast.ask(name, STEP.upload, deliver(name)));
  client.show = () => survivorsMessage.write({ survivors: SEALED_ROUND });
  await client.asked(STEP.consistency);
  const signatures = others.map((name) => cast.sign(name, SEALED_ROUND));
  client.show = () => signaturesMessage.write({ signatures });
  await client.asked(STEP.open);
  expect(client.sentIn(STEP.open)).toHaveLength(1);
  return round;
}

async function secondAttempt(folder: MemoryFolder) {
  const { client } = await answered(folder);
  client.failed();
  client.restart();
  client.show = () => new Uint8Array([0]);
  await client.asked(STEP.keys, 2);
  return client;
}

/** After that the client is shown a list without one group, with its own word and the others' for it: three of four are a quorum. */
async function secondList(folder: MemoryFolder) {
  const { client, cast, others, deliver, adverts } = await answered(folder);
  const fewer = SEALED_ROUND.slice(0, 3);
  const again = new SealedCast(SEALED_ROUND, { context: cast.context });
  again.share(adverts, others);
  for (const name of others) again.ask(name, STEP.upload, deliver(name));
  if (folder instanceof Fickle) folder.forgetLists();
  // The aggregator says that the attempt failed, and goes on with it.
  client.failed();
  client.restart({ loses: true });
  client.show = () => survivorsMessage.write({ survivors: fewer });
  for (let looks = 0; looks < 2; looks++) await client.asked(STEP.consistency);
  const own = consistencyMessage.read(client.sentIn(STEP.consistency).at(-1)!)!;
  const signatures = fewer.slice(1).map((name) => again.sign(name, fewer));
  client.show = () => signaturesMessage.write({ signatures: [{ group: fewer[0]!, ...own }, ...signatures] });
  for (let looks = 0; looks < 2; looks++) await client.asked(STEP.open);
  return { client, distinct: (step: number) => distinctOf(client.sentIn(step)) };
}

function distinctOf(sent: readonly Uint8Array[]): number {
  return new Set(sent.map((bytes) => Buffer.from(bytes).toString('hex'))).size;
}

test('against groups that open two sums of a round in two attempts, the aggregator reads who is missing in the second', () => {
  const updates = GROUPS.map((name) => new SealedCast(GROUPS).updateOf(name));
  const [missing, ...others] = updates;
  const protection = seal.create({}, SHAPE);
  const first = playRound({ protection, updates, context: contextOf(PARAMETERS) });
  const second = playRound({ protection, updates: others, context: contextOf(PARAMETERS, { attempt: 2 }) });
  const { settings } = new SealedCast(GROUPS);
  const { step } = settings.grid;
  const { weightedSum, totalWeight } = sumOfWords(
    new SealedCast(GROUPS).clearWords(missing!.group),
    settings,
  );
  expect(first.totalWeight - second.totalWeight).toBe(totalWeight);
  expect(first.weightedSum.map((sum, i) => Math.round((sum - second.weightedSum[i]!) / step))).toEqual(
    weightedSum.map((value) => Math.round(value / step)),
  );
});

test('against groups that sign and answer anew when they are shown another list, so it does in one attempt', () => {
  const openedFor = (survivors: readonly string[]) => {
    // The same secrets and keys: what has changed is what the groups are shown.
    const cast = new SealedCast(GROUPS);
    cast.collect();
    const signatures = survivors.map((name) => cast.sign(name, survivors));
    const loot = new Map(survivors.map((name) => [name, cast.reveal(name, signatures)!]));
    const roster = cast.rosterOf(MISSING);
    const key = joined(roster, loot)!;
    const uploads = survivors.map((name) => cast.uploads.get(name)!);
    expect(cast.read(uploads, key, roster.seed)).toEqual(
      wordsSum(survivors.map((name) => cast.clearWords(name))),
    );
    return { cast, key, roster };
  };
  const { cast, key, roster } = openedFor(GROUPS);
  const read = cast.read([cast.uploads.get(MISSING)!], minus(key, openedFor(REST).key), roster.seed);
  expect(read).toEqual(cast.clearWords(MISSING));
});

test('clients that forget would help to do either', async () => {
  expect((await secondAttempt(new Forgetful('g00'))).sentIn(STEP.keys, 2)).toHaveLength(1);
  const { distinct } = await secondList(new Fickle('g00'));
  expect([distinct(STEP.consistency), distinct(STEP.open)]).toEqual([2, 2]);
});

describe('ours', () => {
  test('helps to open one sum of a round: of a second attempt it sends nothing', async () => {
    const client = await secondAttempt(new MemoryFolder('g00'));
    expect(client.sentIn(STEP.keys, 2)).toEqual([]);
    expect(client.refusals).toEqual(['ROUND_REFUSED']);
    client.restart();
    await client.asked(STEP.keys, 3);
    expect(client.sentIn(STEP.keys, 3)).toEqual([]);
  });

  test('shown another list, or other signatures, it does not look at them: it says what it said', async () => {
    const { client, distinct } = await secondList(new MemoryFolder('g00'));
    expect(client.sentIn(STEP.open).length).toBeGreaterThan(1);
    expect([distinct(STEP.consistency), distinct(STEP.open)]).toEqual([1, 1]);
  });

  test('sends one update in a round, whether or not a sum of it was opened, and whatever else it forgets', async () => {
    const { client } = await sealedRound(() => steady);
    await client.asked(STEP.upload);
    expect(client.sentIn(STEP.upload)).toHaveLength(1);
    client.failed();
    const { head } = client.folder.record;
    client.folder.saveRecord({ ...newRecord(newGroup('g00')), head });
    client.restart({ loses: true });
    client.show = () => new Uint8Array([0]);
    await client.asked(STEP.keys, 2);
    expect(client.sentIn(STEP.keys, 2)).toEqual([]);
    expect(client.refusals).toEqual(['ROUND_REFUSED']);
  });

  test('takes part again where no update was sent, under a key and a secret that it never had', async () => {
    const { client } = await sealedRound(() => steady);
    const { secret } = client.folder.record.attempt!;
    client.failed();
    await client.asked(STEP.keys, 2);
    const [first, second] = [client.sentIn(STEP.keys)[0]!, client.sentIn(STEP.keys, 2)[0]!];
    expect(Buffer.compare(first, second)).not.toBe(0);
    expect(client.folder.record.attempt!.secret).not.toBe(secret);
  });
});
