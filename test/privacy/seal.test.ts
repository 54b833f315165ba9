import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal } from '../../src/privacy/seal.ts';
import { PROTECTIONS } from '../../src/privacy/table.ts';
import { protectionConformance } from '../conformance/protection.ts';
import { SHAPE } from '../support/protected-round.ts';

const MOST = 6;
const BITS = 16;

/** Weight times number of one step of the grid: the largest product of all, over the largest number of so many bits. */
const STEP = (SHAPE.mostWeight * SHAPE.reach) / (2 ** (BITS - 1) - 1);
/** Weights and scores have twice the digits. */
const WEIGHT_UNIT = 128 * 2 ** (-2 * (BITS - 1));
const SCORE_UNIT = 2 * 2 ** (-2 * (BITS - 1));

protectionConformance({
  kind: seal,
  options: { bits: BITS, mostGroups: MOST },
  groups: 5,
  weight: fc.oneof(
    fc.integer({ min: 1, max: SHAPE.mostWeight }),
    fc.double({ min: 0.01, max: SHAPE.mostWeight, noNaN: true }),
  ),
  number: fc.float({ min: -SHAPE.reach, max: SHAPE.reach, noNaN: true }),
  // Rounded up or down by chance, not to the nearest.
  off: { weight: WEIGHT_UNIT / 2, product: () => STEP, score: SCORE_UNIT / 2 },
  misshapen: (step) => (seal.steps[step]!.name === 'upload' ? 'UPDATE_LENGTH' : 'UPDATE_MALFORMED'),
  unfit: [],
  runs: 3,
});

test('it is in the table, once', () => {
  expect(PROTECTIONS.filter(({ name }) => name === 'seal')).toEqual([seal]);
});
