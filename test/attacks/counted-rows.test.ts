import { beforeAll, describe, expect, test } from 'vitest';
import { configFrom } from '../../src/config/load.ts';
import { optionsOf, roundPlugins } from '../../src/config/round-plugins.ts';
import { sha256 } from '../../src/core/digest.ts';
import type { Protection, SealingCollection } from '../../src/privacy/protection.ts';
import { PROTECTIONS } from '../../src/privacy/table.ts';
import type { CountedRows } from '../../src/wire/counted-rows.ts';
import { makeModel } from '../../src/wire/model.ts';
import type { Aggregate, Update } from '../../src/wire/stages.ts';
import { namesOf } from '../support/attacks.ts';
import { contextOf, ProtectedRound, SHAPE, updateOf } from '../support/protected-round.ts';

/** Groups that lie about the rows of a memory, whose mean is over those who count themselves in. */

const CLIP = 0.25;
const SIZE = 9;
/** One number that everybody trains, a table [4, 1], and its counts. */
const COUNTED: CountedRows = { offset: 5, rows: 4, tensors: [{ offset: 1, width: 1 }], least: 1 };
const READERS = Buffer.from(sha256('readers'), 'hex');
const GROUPS = namesOf(5);

const PLACES = [
  ['under mask', 'protection={ name: mask, mostGroups: 8, clipValue: 0.25 }', 'clear'],
  ['under seal', 'protection={ name: seal, mostGroups: 8, clipValue: 0.25 }', 'clear'],
  ['in a sealed sum', 'protection={ name: seal, mostGroups: 8, clipValue: 0.25 }', 'ciphertext'],
] as const;

function runWith(protection: string, holds: string) {
  const config = configFrom('data: { survey: nonvoters, groups: { training: 5, unseen: 2 } }', 'test.yaml', [
    protection,
    `aggregator.holds=${holds}`,
    'strategy.weighting=equal',
  ]);
  const ours = roundPlugins(config, 10, { size: SIZE, counted: COUNTED });
  const kind = PROTECTIONS.find(({ name }) => name === ours.protection.name)!;
  const shape = { ...SHAPE, mostWeight: 1, equalWeights: true, parameters: SIZE, seed: config.seed };
  const bare = kind.create(optionsOf(config.protection), { ...shape, holds: config.aggregator.holds });
  return { strategy: ours.strategy, ours: ours.protection, bare };
}

/** The sum of a round as whoever opens it has it; null where it is not used. */
function sumOf(protection: Protection, updates: readonly Update[]): Aggregate | null {
  const context = contextOf(SIZE);
  const join: Protection['join'] = (setup) => protection.join({ ...setup, readersKey: READERS });
  const { sealedSums } = protection;
  const round = new ProtectedRound({ protection, updates, context, join });
  if (sealedSums === null) return round.play();
  for (const step of protection.steps.keys()) round.playStep(step);
  return sealedSums.read((round.collection as SealingCollection).publish(), context, READERS).aggregate;
}

/** What a group sends: its numbers in the first row of the table, and in the count of that row. */
function updateIn(group: string, row: number, count: number): Update {
  return updateOf(group, 1, [0.1, row, 0, 0, 0, count, 0, 0, 0]);
}

/** Two groups have answers to the question, and learned as much as the clip lets them. */
const HONEST = GROUPS.map((group, i) => (i < 2 ? updateIn(group, CLIP, CLIP) : updateIn(group, 0, 0)));
const lying = (row: number, count: number, liars: number) =>
  HONEST.map((update, i) => (i < GROUPS.length - liars ? update : updateIn(update.group, row, count)));

const LIES = [
  ['one that sends a row without counting itself', lying(CLIP, 0, 1), 1.5],
  ['three of them', lying(CLIP, 0, 3), 2.5],
  ['one that takes others out of the count', lying(0, -CLIP, 1), 2],
] as const;

describe.each(PLACES)('%s', (_, protection, holds) => {
  const { strategy, ours, bare } = runWith(protection, holds);
  beforeAll(() => ours.prepare());
  const movedBy = (sum: Aggregate) =>
    strategy.next(makeModel(2, new Float32Array(SIZE)), sum, null).model.parameters[1]!;

  test('what honest groups send at their limit makes a model', () => {
    const sum = sumOf(ours, HONEST);
    expect(sum).toEqual(sumOf(bare, HONEST));
    expect(movedBy(sum!)).toBeCloseTo(CLIP, 3);
  });

  test.each(LIES)(
    'a lie of %s moves a row beyond the clip where nobody looks at sums',
    (__, lie, farther) => {
      expect(movedBy(sumOf(bare, lie)!)).toBeCloseTo(farther * CLIP, 3);
    },
  );

  test.each(LIES)('ours: a lie of %s makes no model', (__, lie) => {
    if (holds === 'ciphertext') expect(sumOf(ours, lie)).toBeNull();
    else
      expect(() => sumOf(ours, lie)).toThrow(
        expect.objectContaining({
          code: 'ROUND_FAILED',
          message: expect.stringContaining('of its own making'),
        }),
      );
  });

  test('a group that counts itself in moves a row as any with answers does, no farther', () => {
    const lie = lying(CLIP, CLIP, 3);
    expect(movedBy(sumOf(ours, lie)!)).toBeCloseTo(CLIP, 3);
  });
});
