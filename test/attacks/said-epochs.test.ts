import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stagedParts } from '../../src/predictor/staged/parts.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { parseGreeting, signGreeting } from '../../src/sharding/frames/greeting.ts';
import { takeSeat } from '../../src/sharding/frames/seats.ts';
import {
  type GroupLinks,
  ShardedGroup,
  type ShardedGroupSetup,
} from '../../src/sharding/group/sharded-group.ts';
import { LocalRelay } from '../../src/sharding/local/relay.ts';
import type { LocalShardedRun } from '../../src/sharding/local/run.ts';
import { Front } from '../../src/sharding/parts/front.ts';
import { Head } from '../../src/sharding/parts/head.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { cast, closeCasts, epochs, ready } from '../support/sharded-cast.ts';
import { cutParameters, openTinyRun, participantOf, RUN } from '../support/sharded-run.ts';
import { FEATURE_WIDTH, keyOf, startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

// What an aggregator can do to a group by the epochs that it says: a group believes one once a keeper's frame of it opens.

const options = tinyStaged();
const { width } = options;
const { outer, stages } = cutParameters(options, startOf(options));
const [task] = tinyTasks(1);
/** The epoch that the keepers are in. */
const TRUE_EPOCH = 2;

let run: LocalShardedRun;
let front: Front;
let head: Head;
beforeAll(async () => {
  run = await openTinyRun(options, stages);
  for (let epoch = 0; epoch < TRUE_EPOCH; epoch++) expect(await run.morph()).toBe(true);
  const parts = stagedParts(stagedLayout(options, FEATURE_WIDTH), options);
  const opening = (layout: typeof parts.front) => {
    return { options, layout, parameters: new Float32Array(layout.size), optimizer: ADAM_DEFAULTS };
  };
  front = await Front.open(opening(parts.front), FEATURE_WIDTH);
  head = await Head.open(opening(parts.head), FEATURE_WIDTH);
});
afterAll(async () => {
  await Promise.all([run, front, head].map((one) => one.close()));
});

/** A group that has heard of no epoch, with a line to the keepers; what it stored. */
function group(changes: Partial<ShardedGroupSetup> = {}) {
  const { identity, keys } = participantOf(run, 'group c', options);
  const relay = new LocalRelay();
  for (const [index, { id }] of run.seats.keepers.entries()) {
    relay.join(id, (frame) => run.keepers[index]!.receive(frame));
  }
  const stored: GroupLinks[] = [];
  const member = new ShardedGroup({
    ...{ run: RUN, identity, keys, seats: run.seats, front, head, width, frames: 'float32' },
    send: (frame) => relay.carry(frame),
    keep: (links) => void stored.push(links),
    ...changes,
  });
  relay.join(identity.publicKey, async (frame) => {
    member.receive(frame);
    return [];
  });
  const said = (epoch: number) => member.begin({ epoch, round: 0, attempt: 0, ...outer });
  return { member, stored, said };
}

describe('a group', () => {
  test('goes on in the true epoch whatever was said before, and goes back from no epoch of which a frame opened (property)', async () => {
    const epochsSaid = fc.array(fc.integer({ min: 0, max: TRUE_EPOCH + 3 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(epochsSaid, async (before) => {
        const { member, stored, said } = group();
        let believed = 0;
        for (const epoch of [...before, TRUE_EPOCH]) {
          if (epoch < believed) {
            expect(() => said(epoch)).toThrow(expect.objectContaining({ code: 'ROUND_REFUSED' }));
            continue;
          }
          said(epoch);
          // What its links are stored as stays where it was.
          expect(member.memory().links.epoch).toBe(believed);
          const answer = member.predict(task!);
          if (epoch === TRUE_EPOCH) {
            expect((await answer).every(Number.isFinite)).toBe(true);
            believed = epoch;
          } else await expect(answer).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
          expect(member.memory().links.epoch).toBe(believed);
        }
        // Once, before anything was done with the answer.
        expect(stored).toEqual([member.memory()]);
      }),
      { numRuns: 25 },
    );
  });

  test('keeps the link with a keeper that came while it waited for the first frame of an epoch', async () => {
    const { member, stored, said } = group({ late: { keepers: 1, groups: 0 } });
    const identity = identityOf(Buffer.from(keyOf('identity', 'late')).toString('hex'));
    const { publicKey } = keyPairOf(keyOf('seat', 'late'));
    const from = identity.publicKey;
    said(TRUE_EPOCH);
    const answer = member.predict(task!);
    member.admit([{ seat: takeSeat(RUN, identity, publicKey), stage: 0 }]);
    const address = { run: RUN, from, to: member.id, stage: null };
    const hello = signGreeting({ kind: 'hello', ...address, key: publicKey }, identity);
    expect(member.greet(parseGreeting(hello)!, TRUE_EPOCH)).not.toBeNull();
    await answer;
    expect(stored).toEqual([member.memory()]);
    expect(stored[0]!.links.epoch).toBe(TRUE_EPOCH);
    expect(stored[0]!.links.secrets.map(([id]) => id)).toContain(from);
  });

  test('whose links cannot be stored gets no answer, and stays in the epoch that is stored', async () => {
    const full = new Error('the disk is full');
    const { member, said } = group({
      keep: () => {
        throw full;
      },
    });
    said(TRUE_EPOCH);
    await expect(member.predict(task!)).rejects.toBe(full);
    expect(member.memory().links.epoch).toBe(0);
  });
});

describe('an aggregator that says a far too large epoch once', () => {
  afterEach(closeCasts);

  test('leaves the group out of that round, and not of the next: its links are those that they were', async () => {
    const all = cast([], { patienceMs: 400 });
    const { world } = all;
    await all.train(1);
    const one = world.seats.groups[2]!.id;
    let lies = 0;
    world.told = (id, course) => {
      const isLie = id === one && course.training?.round === 2 && !course.training.complete;
      if (isLie) lies++;
      return isLie ? { ...course, epoch: 2000 } : course;
    };
    const left = all.trainers[2]!.train({ round: 2, attempt: 1 }, all.received).catch((thrown) => thrown);
    await ready(all, 2, [2]);
    await all.train(2, [0, 1]);
    expect(await left).toMatchObject({ code: 'ROUND_REFUSED' });
    expect(lies).toBeGreaterThan(0);
    expect(world.links(2).links?.links.epoch).toBe(0);
    expect(await all.train(3)).toHaveLength(3);
    expect(epochs(all)).toEqual([1, 1, 1]);
    expect([0, 1, 2].map((group) => world.links(group).links?.links.epoch)).toEqual([1, 1, 1]);
  });
});
