import { describe, expect, test } from 'vitest';
import { newRecord } from '../../src/client/group-record.ts';
import { STEP, signaturesMessage, survivorsMessage } from '../../src/privacy/mask/messages.ts';
import { mask } from '../../src/privacy/mask.ts';
import { sumOfWords } from '../../src/privacy/secure-sum/words.ts';
import { newGroup } from '../../src/round/group.ts';
import { MemoryFolder } from '../support/attacked-client.ts';
import { OTHERS, sharedRound, VICTIM } from '../support/attacked-round.ts';
import { Cast, namesOf, PARAMETERS, wordsInClear } from '../support/attacks.ts';
import { contextOf, playRound, SHAPE } from '../support/protected-round.ts';

/** A round is given up when its sum is already open, and opened again without one group: two sums differ by that group's update. */

const GROUPS = namesOf(5);

/** A client that does not remember whose sums it helped to open. */
class Forgetful extends MemoryFolder {
  override loadOpened(): number {
    return 0;
  }
}

/** Takes part in a whole attempt; how much of it the client answered, and what it made of a second one. */
async function attack(folder: MemoryFolder) {
  const steady = new Cast(GROUPS, { context: contextOf(PARAMETERS) }).updateOf(VICTIM);
  const { client, cast } = await sharedRound(() => steady, folder);
  await client.asked(STEP.upload);
  cast.uploads.set(VICTIM, client.sentIn(STEP.upload)[0]!);
  for (const name of OTHERS) cast.uploads.set(name, cast.ask(name, STEP.upload, cast.deliveryFor(name)));
  const all = [VICTIM, ...OTHERS];
  client.show = () => survivorsMessage.write({ survivors: all });
  await client.asked(STEP.consistency);
  const signatures = OTHERS.map((name) => cast.sign(name, all));
  const uploads = OTHERS.map((name) => cast.uploads.get(name)!.slice(32, 96));
  client.show = () => signaturesMessage.write({ signatures, uploads });
  await client.asked(STEP.unmask);
  expect(client.sentIn(STEP.unmask)).toHaveLength(1);
  client.failed();
  client.restart();
  client.show = () => new Uint8Array([0]);
  await client.asked(STEP.keys, 2);
  return client;
}

test('against groups that open two sums of a round, the aggregator reads who is missing in the second', () => {
  const updates = GROUPS.map((name) => new Cast(GROUPS).updateOf(name));
  const [missing, ...others] = updates;
  const protection = mask.create({}, SHAPE);
  const first = playRound({ protection, updates, context: contextOf(PARAMETERS) });
  const second = playRound({ protection, updates: others, context: contextOf(PARAMETERS, { attempt: 2 }) });
  const { settings } = new Cast(GROUPS);
  const { weightedSum, totalWeight } = sumOfWords(wordsInClear(missing!, settings), settings);
  expect(first.totalWeight - second.totalWeight).toBe(totalWeight);
  expect(
    first.weightedSum.map((sum, i) => Math.round((sum - second.weightedSum[i]!) / settings.grid.step)),
  ).toEqual(weightedSum.map((value) => Math.round(value / settings.grid.step)));
});

test('a client that forgets it would help', async () => {
  const client = await attack(new Forgetful(VICTIM));
  expect(client.sentIn(STEP.keys, 2)).toHaveLength(1);
});

describe('ours', () => {
  test('helps to open one sum of a round: of a second attempt it sends nothing', async () => {
    const client = await attack(new MemoryFolder(VICTIM));
    expect(client.sentIn(STEP.keys, 2)).toEqual([]);
    expect(client.refusals).toEqual(['ROUND_REFUSED']);
    client.restart();
    await client.asked(STEP.keys, 3);
    expect(client.sentIn(STEP.keys, 3)).toEqual([]);
  });

  test('sends one update in a round, whether or not a sum of it was opened, and whatever else it forgets', async () => {
    const { client } = await sharedRound(() => new Cast(GROUPS).updateOf(VICTIM));
    await client.asked(STEP.upload);
    expect(client.sentIn(STEP.upload)).toHaveLength(1);
    client.failed();
    const { head } = client.folder.record;
    client.folder.saveRecord({ ...newRecord(newGroup(VICTIM)), head });
    client.restart({ loses: true });
    client.show = () => new Uint8Array([0]);
    await client.asked(STEP.keys, 2);
    expect(client.sentIn(STEP.keys, 2)).toEqual([]);
    expect(client.refusals).toEqual(['ROUND_REFUSED']);
  });

  test('takes part again where no update was sent, under keys and a secret that it never had', async () => {
    const { client } = await sharedRound(() => new Cast(GROUPS).updateOf(VICTIM));
    const { secret } = client.folder.record.attempt!;
    client.failed();
    await client.asked(STEP.keys, 2);
    const [first, second] = [client.sentIn(STEP.keys)[0]!, client.sentIn(STEP.keys, 2)[0]!];
    expect(Buffer.compare(first, second)).not.toBe(0);
    expect(client.folder.record.attempt).toMatchObject({ round: 3, attempt: 2 });
    expect(client.folder.record.attempt!.secret).not.toBe(secret);
  });

  test('goes back to no attempt that is over', async () => {
    const { client } = await sharedRound(() => new Cast(GROUPS).updateOf(VICTIM));
    await client.asked(STEP.keys, 2);
    const count = client.sent.length;
    for (const step of [STEP.keys, STEP.shares, STEP.upload]) await client.asked(step, 1);
    expect(client.sent).toHaveLength(count);
  });
});
