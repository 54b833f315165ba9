import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Fold, Protection, ProtectionKind } from '../../src/privacy/protection.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../../src/wire/stages.ts';
import { collectionStepSchema } from '../../src/wire/step.ts';

/** What the suite needs to know about a protection. */
export interface ProtectionCase {
  readonly kind: ProtectionKind;
  readonly options: Readonly<Record<string, unknown>>;
}

const ROUND = 3;
const PARAMETERS = 5;
/** Weights and weighted deltas are rounded to multiples of this. */
const GRID = 2 ** -32;

/** A clear update; only tests make one without training. */
export function updateOf(group: string, weight: number, delta: ArrayLike<number>, round = ROUND): Update {
  return asStage({ group, round, weight, delta: Float32Array.from(delta) });
}

/** What of an aggregate must not depend on the order, bit by bit. */
function fingerprint({ round, weightedSum, totalWeight, groups }: Aggregate): string {
  return JSON.stringify([round, Buffer.from(bytesOf(weightedSum)).toString('hex'), totalWeight, groups]);
}

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

function sumOf(protection: Protection, updates: readonly ProtectedUpdate[]): Aggregate {
  const fold = protection.fold(ROUND, PARAMETERS);
  for (const update of updates) fold.add(update);
  return fold.finish();
}

const named = <Member>(members: readonly Member[]) =>
  members.map((member, index) => [`g${index}`, member] as const);

const numbersOf = <Value>(value: fc.Arbitrary<Value>) =>
  fc.array(value, { minLength: PARAMETERS, maxLength: PARAMETERS });

/** Weighted deltas that are on the grid: whole weights, deltas in steps of 2^-12. */
const onGrid = fc.array(
  fc.record({
    weight: fc.integer({ min: 1, max: 1000 }),
    steps: numbersOf(fc.integer({ min: -4096, max: 4096 })),
  }),
  { minLength: 1, maxLength: 6 },
);

const delta = fc.float({ min: -8, max: 8, noNaN: true });
const anywhere = fc.record({
  weight: fc.double({ min: 0.001, max: 1000, noNaN: true }),
  delta: numbersOf(delta),
});

/** Clear updates that no protection may let into a sum. */
const UNFIT: readonly (readonly [name: string, code: ErrorCode, update: Update])[] = [
  ['too few numbers', 'UPDATE_LENGTH', updateOf('bad', 1, [1, 2, 3, 4])],
  ['too many numbers', 'UPDATE_LENGTH', updateOf('bad', 1, [1, 2, 3, 4, 5, 6])],
  ['NaN', 'UPDATE_NOT_FINITE', updateOf('bad', 1, [1, 2, Number.NaN, 4, 5])],
  ['Infinity', 'UPDATE_NOT_FINITE', updateOf('bad', 1, [1, 2, 3, 4, Number.POSITIVE_INFINITY])],
  ['-Infinity', 'UPDATE_NOT_FINITE', updateOf('bad', 1, [Number.NEGATIVE_INFINITY, 2, 3, 4, 5])],
  ['far too large a number', 'UPDATE_OUT_OF_RANGE', updateOf('bad', 1, [3e38, 2, 3, 4, 5])],
  ['a weight of 0', 'UPDATE_OUT_OF_RANGE', updateOf('bad', 0, [1, 2, 3, 4, 5])],
  ['a negative weight', 'UPDATE_OUT_OF_RANGE', updateOf('bad', -1, [1, 2, 3, 4, 5])],
  ['a weight that rounds to 0', 'UPDATE_OUT_OF_RANGE', updateOf('bad', GRID / 3, [1, 2, 3, 4, 5])],
  ['a weight of NaN', 'UPDATE_NOT_FINITE', updateOf('bad', Number.NaN, [1, 2, 3, 4, 5])],
  ['an infinite weight', 'UPDATE_NOT_FINITE', updateOf('bad', Number.POSITIVE_INFINITY, [0, 0, 0, 0, 0])],
  ['far too large a weight', 'UPDATE_OUT_OF_RANGE', updateOf('bad', 1e300, [0, 0, 0, 0, 0])],
  ['another round', 'ROUND_REFUSED', updateOf('bad', 1, [1, 2, 3, 4, 5], ROUND - 1)],
  ['a group that is in the sum already', 'ROUND_REFUSED', updateOf('good', 1, [1, 2, 3, 4, 5])],
];

/** Ways to spoil what a group sends. */
const SPOILT: readonly (readonly [
  name: string,
  code: ErrorCode,
  spoil: (update: ProtectedUpdate) => Partial<ProtectedUpdate>,
])[] = [
  ['a payload cut short', 'UPDATE_LENGTH', ({ payload }) => ({ payload: payload.subarray(0, -1) })],
  [
    'a payload with a byte more',
    'UPDATE_LENGTH',
    ({ payload }) => ({ payload: Uint8Array.of(...payload, 0) }),
  ],
  ['no payload', 'UPDATE_LENGTH', () => ({ payload: new Uint8Array() })],
  ['the payload of another protection', 'ROUND_REFUSED', () => ({ protection: 'another' })],
];

/** What every protection promises; called from the test of each. */
export function protectionConformance({ kind, options }: ProtectionCase): void {
  const protection = kind.create(options);
  const protect = (update: Update) => protection.protect(update);

  describe(`conformance of protection "${kind.name}" ${JSON.stringify(options)}`, () => {
    test('says what it is, and refuses options that it does not know', () => {
      const { name, reveals, steps } = kind;
      expect(protection).toMatchObject({ name, reveals, steps });
      expect(steps.map((step) => collectionStepSchema.parse(step))).toEqual(steps);
      expect(new Set(steps.map((step) => step.name)).size).toBe(steps.length);
      expect(steps[0]?.from).toBe('participants');
      expect(kind.describe.length).toBeGreaterThan(10);
      expect(kind.options.safeParse({ ...options, no_such_option: 1 }).success).toBe(false);
    });

    test('a protected update names its group, its round and the protection, and leaves the clear one alone', () => {
      const update = updateOf('g', 2, [1, 2, 3, 4, 5]);
      const before = update.delta.slice();
      expect(protect(update)).toMatchObject({ group: 'g', round: ROUND, protection: kind.name });
      expect(update.delta).toEqual(before);
    });

    test('the sum is the plain sum, exactly where that is on the grid (property)', () => {
      fc.assert(
        fc.property(onGrid, (members) => {
          const updates = named(members).map(([group, { weight, steps }]) =>
            protect(
              updateOf(
                group,
                weight,
                steps.map((count) => count / 4096),
              ),
            ),
          );
          const { round, weightedSum, totalWeight, groups } = sumOf(protection, updates);
          const plain = Array.from({ length: PARAMETERS }, (_, i) =>
            members.reduce((sum, { weight, steps }) => sum + weight * steps[i]!, 0),
          );
          expect([...weightedSum].map((value) => value * 4096 + 0)).toEqual(plain.map((value) => value + 0));
          expect(totalWeight).toBe(members.reduce((sum, { weight }) => sum + weight, 0));
          expect({ round, groups }).toEqual({ round: ROUND, groups: members.map((_, index) => `g${index}`) });
        }),
      );
    });

    test('elsewhere each update is off by half a grid step at most, for its weight and for its product (property)', () => {
      fc.assert(
        fc.property(fc.array(anywhere, { minLength: 1, maxLength: 6 }), (members) => {
          const updates = named(members).map(([group, { weight, delta: values }]) =>
            protect(updateOf(group, weight, values)),
          );
          const { weightedSum, totalWeight } = sumOf(protection, updates);
          const rounding = members.length * (GRID / 2);
          // 1e-11 is what float64 loses in the plain sum that this is held against.
          const plainWeight = members.reduce((sum, { weight }) => sum + weight, 0);
          expect(Math.abs(totalWeight - plainWeight)).toBeLessThanOrEqual(rounding + 1e-11);
          for (let i = 0; i < PARAMETERS; i++) {
            const plain = members.reduce((sum, { weight, delta: values }) => sum + weight * values[i]!, 0);
            expect(Math.abs(weightedSum[i]! - plain)).toBeLessThanOrEqual((1 + 8) * rounding + 1e-11);
          }
        }),
      );
    });

    test('not a bit of the sum depends on the order (property, all orders of four)', () => {
      fc.assert(
        fc.property(fc.array(anywhere, { minLength: 4, maxLength: 4 }), (members) => {
          const updates = named(members).map(([group, { weight, delta: values }]) =>
            protect(updateOf(group, weight, values)),
          );
          const sums = permutations(updates).map((order) => fingerprint(sumOf(protection, order)));
          expect(sums).toHaveLength(24);
          expect(new Set(sums).size).toBe(1);
        }),
        { numRuns: 40 },
      );
    });

    test('finishing changes nothing: more can be added, and it can be finished again', () => {
      const [a, b] = [protect(updateOf('a', 1, [1, 2, 3, 4, 5])), protect(updateOf('b', 2, [5, 4, 3, 2, 1]))];
      const fold = protection.fold(ROUND, PARAMETERS);
      fold.add(a);
      const first = fold.finish();
      const kept = fingerprint(first);
      fold.add(b);
      expect(fingerprint(fold.finish())).toBe(fingerprint(sumOf(protection, [a, b])));
      expect(fingerprint(first)).toBe(kept);
    });

    test('a sum of nothing is ROUND_FAILED', () => {
      expect(() => protection.fold(ROUND, PARAMETERS).finish()).toThrow(
        expect.objectContaining({ code: 'ROUND_FAILED' }),
      );
    });

    /** Refused when protected or when added; the sum before and after goes on as if nothing had come. */
    const expectNoTrace = (code: ErrorCode, attempt: (fold: Fold) => void) => {
      const good = protect(updateOf('good', 2, [0.5, -1, 0, 3, 0.1]));
      const later = protect(updateOf('later', 1, [1, 1, 1, 1, 1]));
      const fold = protection.fold(ROUND, PARAMETERS);
      fold.add(good);
      expect(() => attempt(fold)).toThrow(expect.objectContaining({ code }));
      fold.add(later);
      expect(fingerprint(fold.finish())).toBe(fingerprint(sumOf(protection, [good, later])));
    };

    test.each(UNFIT)('an update with %s is %s and leaves no trace', (_, code, update) => {
      expectNoTrace(code, (fold) => fold.add(protect(update)));
    });

    test.each(SPOILT)('%s is %s and leaves no trace', (_, code, spoil) => {
      const sent = protect(updateOf('bad', 1, [1, 2, 3, 4, 5]));
      expectNoTrace(code, (fold) => fold.add(asStage({ ...sent, ...spoil(sent) })));
    });

    test('screening refuses what the fold would refuse of an update by itself', () => {
      const alone = UNFIT.filter(([, code]) => code !== 'ROUND_REFUSED');
      for (const [name, code, update] of alone) {
        const screen = () => protection.screen(protect(update), PARAMETERS);
        expect(screen, name).toThrow(expect.objectContaining({ code }));
      }
      for (const [name, code, spoil] of SPOILT) {
        const sent = protect(updateOf('bad', 1, [1, 2, 3, 4, 5]));
        const screen = () => protection.screen(asStage({ ...sent, ...spoil(sent) }), PARAMETERS);
        expect(screen, name).toThrow(expect.objectContaining({ code }));
      }
    });

    test('updates that together take less than the capacity of a round are all added (property)', () => {
      const large = fc.record({
        weight: fc.double({ min: 0.5, max: 2 ** 18, noNaN: true }),
        delta: numbersOf(fc.float({ min: -4, max: 4, noNaN: true })),
      });
      fc.assert(
        fc.property(fc.array(large, { minLength: 1, maxLength: 12 }), (members) => {
          const fold = protection.fold(ROUND, PARAMETERS);
          let taken = 0;
          for (const [group, { weight, delta: values }] of named(members)) {
            const sent = protect(updateOf(group, weight, values));
            const share = protection.screen(sent, PARAMETERS);
            expect(share).toBeGreaterThan(0);
            if (taken + share >= 1) continue;
            taken += share;
            expect(() => fold.add(sent)).not.toThrow();
          }
        }),
        { numRuns: 60 },
      );
    });
  });
}
