import { describe, expect, test } from 'vitest';
import type { GroupRecord } from '../../src/client/group-record.ts';
import { rosterMessage, STEP } from '../../src/privacy/mask/messages.ts';
import type { Update } from '../../src/wire/stages.ts';
import { type AttackedClient, MemoryFolder } from '../support/attacked-client.ts';
import { sharedRound, VICTIM } from '../support/attacked-round.ts';
import { type Cast, PARAMETERS, wordsInClear } from '../support/attacks.ts';
import { updateOf } from '../support/protected-round.ts';

/**
 * Training is done twice for one place, and gives two updates, as it may where it runs on a GPU. Both under the same mask tell
 * their difference: all of what one of them says, to whoever knows the other.
 */

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
  const { client, cast } = await sharedRound(train, folder);
  client.denies = denies;
  await client.asked(STEP.upload);
  client.denies = false;
  await again(client);
  // Once to find that it is lost, once to make it again.
  for (let looks = 0; looks < 3; looks++) await client.asked(STEP.upload);
  return { client, cast, given, uploads: client.sentIn(STEP.upload) };
}

function difference(cast: Cast, [one, other]: readonly Uint32Array[]): Uint32Array {
  return cast.ring(other!.map((word, i) => word - one![i]!));
}

describe.each(WAYS)('after %s', (way, again) => {
  const denies = way.includes('denies');

  test('a client that forgets what it sent tells the difference of two updates', async () => {
    const { cast, given, uploads } = await attack(new Forgetful(VICTIM), again, denies);
    const distinct = [
      ...new Map(uploads.map((upload) => [Buffer.from(upload).toString('hex'), upload])).values(),
    ];
    const masked = distinct.map((upload) => cast.masked(upload));
    expect(masked).toHaveLength(2);
    const clear = given.map((update) => wordsInClear(update, cast.settings));
    expect(difference(cast, masked)).toEqual(difference(cast, clear));
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

  test('ours sends the same bytes again where training gives the same update', async () => {
    const steady = updateOf(VICTIM, 50, new Float32Array(PARAMETERS).fill(0.25));
    const { client } = await sharedRound(() => steady);
    await client.asked(STEP.upload);
    client.restart({ loses: true });
    for (let looks = 0; looks < 2; looks++) await client.asked(STEP.upload);
    const [first, second] = client.sentIn(STEP.upload);
    expect(second).toEqual(first);
  });
});

describe('ours, shown something else after a restart', () => {
  test('does not look at it: the shares of its secrets are for the groups that it saw first', async () => {
    const { client, adverts } = await sharedRound(wavering().train);
    client.restart({ loses: true });
    client.show = () => rosterMessage.write({ adverts: adverts.slice(0, 3) });
    for (let looks = 0; looks < 2; looks++) await client.asked(STEP.shares);
    const [first, second] = client.sentIn(STEP.shares);
    expect(second).toEqual(first);
    expect(client.refusals).toEqual([]);
  });

  test('takes no part where what it saw first is lost', async () => {
    const { client, adverts } = await sharedRound(wavering().train);
    for (const name of client.folder.files.keys()) client.folder.files.delete(name);
    client.restart();
    client.show = () => rosterMessage.write({ adverts: adverts.slice(0, 3) });
    for (let looks = 0; looks < 2; looks++) await client.asked(STEP.shares);
    await client.asked(STEP.upload);
    expect(client.sentIn(STEP.shares)).toHaveLength(1);
    expect(client.sentIn(STEP.upload)).toHaveLength(0);
    expect(new Set(client.refusals)).toEqual(new Set(['ROUND_REFUSED']));
  });
});
