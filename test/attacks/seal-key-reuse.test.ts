import { describe, expect, test } from 'vitest';
import type { GroupRecord } from '../../src/client/group-record.ts';
import { SCALAR_WORDS } from '../../src/privacy/scalars.ts';
import { SEALED, STEP } from '../../src/privacy/seal/messages.ts';
import { DEGREE } from '../../src/privacy/seal/ring.ts';
import { readPlaintexts } from '../../src/privacy/seal/slots.ts';
import { updateWords } from '../../src/privacy/secure-sum/words.ts';
import type { Update } from '../../src/wire/stages.ts';
import { type AttackedClient, MemoryFolder } from '../support/attacked-client.ts';
import { PARAMETERS } from '../support/attacks.ts';
import { updateOf } from '../support/protected-round.ts';
import { SEALED_ROUND, type SealedCast, sealedRound, wordsMinus } from '../support/sealed-attacks.ts';

/**
 * Training is done twice for one place, and gives two updates, as it may where it runs on a GPU. Both under one key and one noise,
 * which follow from the secret of the attempt, tell their difference.
 */

const VICTIM = SEALED_ROUND[0]!;

/** A client that does not remember what it sent. */
class Forgetful extends MemoryFolder {
  override loadRecord(): GroupRecord {
    return { ...super.loadRecord(), sent: null };
  }
}

/** Another update each time. */
function wavering(): { train: () => Update; given: Update[] } {
  const given: Update[] = [];
  const train = () => {
    const delta = Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i + given.length));
    given.push(updateOf(VICTIM, 50 + given.length, delta));
    return given.at(-1)!;
  };
  return { train, given };
}

/** Ways to bring a client to train again for a place that it has sent something in. */
const WAYS: [string, (client: AttackedClient) => Promise<void> | void][] = [
  ['a crash that loses what was to be sent', (client) => client.restart({ loses: true })],
  ['an aggregator that takes it and denies it, and a restart', (client) => client.restart()],
  [
    'an aggregator that says that the round failed, and begins the same attempt again',
    async (client) => {
      client.failed();
      for (const step of [STEP.keys, STEP.shares]) await client.asked(step);
      client.restart();
    },
  ],
];

async function attack(folder: MemoryFolder, again: (typeof WAYS)[number][1], denies: boolean) {
  const { train, given } = wavering();
  const { client, cast } = await sealedRound(train, folder);
  client.denies = denies;
  await client.asked(STEP.upload);
  client.denies = false;
  await again(client);
  // Once to find that it is lost, once to make it again.
  for (let looks = 0; looks < 3; looks++) await client.asked(STEP.upload);
  return { client, cast, given, uploads: client.sentIn(STEP.upload) };
}

/** What two uploads differ by, read without any key. */
function difference(cast: SealedCast, [one, other]: readonly Uint8Array[]): Uint32Array | null {
  const [a, b] = [cast.sumOf([one!]), cast.sumOf([other!])];
  const hi = new Uint32Array(DEGREE);
  const lo = new Uint32Array(DEGREE);
  for (let i = 0; i < DEGREE; i++) {
    const low = b.lo[i]! - a.lo[i]!;
    lo[i] = low;
    hi[i] = b.hi[i]! - a.hi[i]! - (low < 0 ? 1 : 0);
  }
  const words = new Uint32Array(SCALAR_WORDS + PARAMETERS);
  return readPlaintexts({ hi, lo }, words, 0, cast.settings.plan) ? words : null;
}

describe.each(WAYS)('after %s', (way, again) => {
  const denies = way.includes('denies');

  test('a client that forgets what it sent tells the difference of two updates', async () => {
    const { cast, given, uploads } = await attack(new Forgetful(VICTIM), again, denies);
    const distinct = [
      ...new Map(uploads.map((upload) => [Buffer.from(upload).toString('hex'), upload])).values(),
    ];
    expect(distinct).toHaveLength(2);
    const [one, other] = given.map((update) => updateWords(update, cast.settings, new Uint8Array(32)));
    expect(difference(cast, distinct)).toEqual(wordsMinus(other!, one!));
  });

  test('ours sends nothing else, and takes no further part in the attempt', async () => {
    const { client, given, uploads } = await attack(new MemoryFolder(VICTIM), again, denies);
    expect(given.length).toBeGreaterThan(1);
    expect(uploads).toHaveLength(1);
    expect(client.refusals.at(-1)).toBe('ROUND_REFUSED');
    client.restart();
    await client.asked(STEP.upload);
    expect(client.sentIn(STEP.upload)).toHaveLength(1);
  });
});

describe('ours', () => {
  const steady = updateOf(VICTIM, 50, new Float32Array(PARAMETERS).fill(0.25));

  test('sends the same bytes again where training gives the same update', async () => {
    const { client } = await sealedRound(() => steady);
    await client.asked(STEP.upload);
    client.restart({ loses: true });
    for (let looks = 0; looks < 2; looks++) await client.asked(STEP.upload);
    const [first, second] = client.sentIn(STEP.upload);
    expect(second).toEqual(first);
  });

  test('encrypts one update in two attempts under two keys and two noises', async () => {
    const first = await sealedRound(() => steady);
    const second = await sealedRound(() => steady, undefined, 2);
    for (const { client } of [first]) await client.asked(STEP.upload);
    await second.client.asked(STEP.upload, 2);
    const uploads = [first.client.sentIn(STEP.upload)[0]!, second.client.sentIn(STEP.upload, 2)[0]!];
    expect(difference(first.cast, uploads)).toBeNull();
  });

  test('shown other keys after a restart, it does not look: one box of one key never has two messages', async () => {
    const { client, adverts } = await sealedRound(() => steady);
    client.restart({ loses: true });
    client.show = () => SEALED.rosterMessage.write({ adverts: adverts.slice(0, 3) });
    for (let looks = 0; looks < 2; looks++) await client.asked(STEP.shares);
    const [first, second] = client.sentIn(STEP.shares);
    expect(second).toEqual(first);
    expect(client.refusals).toEqual([]);
  });

  test('takes no part where what it saw first is lost', async () => {
    const { client, adverts } = await sealedRound(() => steady);
    for (const name of client.folder.files.keys()) client.folder.files.delete(name);
    client.restart();
    client.show = () => SEALED.rosterMessage.write({ adverts: adverts.slice(0, 3) });
    for (let looks = 0; looks < 2; looks++) await client.asked(STEP.shares);
    await client.asked(STEP.upload);
    expect(client.sentIn(STEP.shares)).toHaveLength(1);
    expect(client.sentIn(STEP.upload)).toHaveLength(0);
    expect(new Set(client.refusals)).toEqual(new Set(['ROUND_REFUSED']));
  });
});
