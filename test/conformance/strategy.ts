import { decode, encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { type StrategyKind, strategyStateSchema } from '../../src/strategy/strategy.ts';
import { weightBounds } from '../../src/strategy/weight-bounds.ts';
import { makeModel } from '../../src/wire/model.ts';
import type { Aggregate, Model } from '../../src/wire/stages.ts';

/** What the suite needs to know about a strategy. */
export interface StrategyCase {
  readonly kind: StrategyKind;
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the next model is the model plus the weighted mean of the updates, and nothing else. */
  readonly averages: boolean;
  /** How far the first round of a run moves a parameter whose mean update is `mean`. */
  readonly firstStep: (mean: number) => number;
}

interface Member {
  readonly weight: number;
  readonly delta: readonly number[];
}

function aggregateOf(members: readonly Member[], round = 4): Aggregate {
  const size = members[0]!.delta.length;
  const weightedSum = Float64Array.from({ length: size }, (_, i) =>
    members.reduce((sum, { weight, delta }) => sum + weight * delta[i]!, 0),
  );
  const totalWeight = members.reduce((sum, { weight }) => sum + weight, 0);
  return asStage({
    round,
    weightedSum,
    totalWeight,
    scores: null,
    groups: members.map((_, index) => `g${index}`),
  });
}

/** Multiples of 2^-10, so that products and sums are exact and the expected figure is not in doubt. */
const figure = fc.integer({ min: -8192, max: 8192 }).map((steps) => steps / 1024);
const figures = fc.array(figure, { minLength: 3, maxLength: 3 });
const weight = fc.integer({ min: 1, max: 500 });

/** What every strategy promises; called from the test of each. */
export function strategyConformance({ kind, options, averages, firstStep }: StrategyCase): void {
  const strategy = kind.create(options);
  const model = makeModel(3, Float32Array.of(1, -2, 0.5));
  /** The model after the first round of a run. */
  const nextOf = (before: Model, aggregate: Aggregate): Model =>
    strategy.next(before, aggregate, strategy.initialState()).model;

  describe(`conformance of strategy "${kind.name}" ${JSON.stringify(options)}`, () => {
    test('says what it is, and refuses options that it does not know', () => {
      expect(strategy).toMatchObject({
        name: kind.name,
        needs: kind.needs,
        scores: kind.scores,
        momentum: kind.momentum,
      });
      expect(kind.describe.length).toBeGreaterThan(10);
      expect(kind.options.safeParse({ ...options, no_such_option: 1 }).success).toBe(false);
    });

    test('weights are positive, finite, and never fall when a group has more questions', () => {
      for (const score of strategy.scores ? [null, 0, 0.5, 1] : [null]) {
        const weights = [1, 2, 10, 100, 10_000].map((questions) => strategy.weightOf({ questions, score }));
        expect(weights.every((value) => value > 0 && Number.isFinite(value))).toBe(true);
        expect([...weights].sort((a, b) => a - b)).toEqual(weights);
      }
    });

    test('weights lie within what protections are told of them (property)', () => {
      const score = strategy.scores ? fc.double({ min: 0, max: 1, noNaN: true }) : fc.constant(null);
      const bounds = weightBounds(strategy, 50);
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 50 }), score, (questions, own) => {
          const one = strategy.weightOf({ questions, score: own });
          expect(one).toBeGreaterThanOrEqual(bounds.least);
          expect(one).toBeLessThanOrEqual(bounds.most);
          if (bounds.equal) expect(one).toBe(bounds.most);
        }),
      );
      expect(bounds.equal).toBe(bounds.least === bounds.most);
    });

    test('the next model is of the round, of the same size, with its own digest, and the old one stays', () => {
      const aggregate = aggregateOf([{ weight: 2, delta: [0.25, 0.5, -1] }]);
      const before = [model.parameters.slice(), aggregate.weightedSum.slice()];
      const next = nextOf(model, aggregate);
      expect(next.round).toBe(4);
      expect(next.parameters).toHaveLength(3);
      expect(next.digest).toBe(sha256(bytesOf(next.parameters)));
      expect(next.digest).not.toBe(model.digest);
      expect([model.parameters, aggregate.weightedSum]).toEqual(before);
    });

    test('the first round moves each parameter by what the formula says, and by nothing where nothing changed (property)', () => {
      fc.assert(
        fc.property(
          figures,
          figures,
          fc.array(weight, { minLength: 1, maxLength: 5 }),
          (start, delta, of) => {
            const before = makeModel(3, Float32Array.from(start));
            const members = of.map((each) => ({ weight: each, delta }));
            const next = nextOf(before, aggregateOf(members));
            for (const [i, value] of next.parameters.entries()) {
              const expected = start[i]! + firstStep(delta[i]!);
              expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(expected)));
            }
            const still = nextOf(before, aggregateOf([{ weight: 1, delta: [0, 0, 0] }]));
            expect(still.parameters).toEqual(before.parameters);
          },
        ),
      );
    });

    test('a run that is stored after every round goes on as one that is not, and nothing given is changed (property)', () => {
      fc.assert(
        fc.property(fc.array(figures, { minLength: 2, maxLength: 6 }), (deltas) => {
          let stored = { model, state: strategy.initialState() };
          let kept = stored;
          for (const [round, delta] of deltas.entries()) {
            const aggregate = aggregateOf([{ weight: 2, delta }], 4 + round);
            const given = [
              encode(stored.state),
              stored.model.parameters.slice(),
              aggregate.weightedSum.slice(),
            ] as const;
            kept = strategy.next(kept.model, aggregate, kept.state);
            const next = strategy.next(stored.model, aggregate, stored.state);
            expect([encode(stored.state), stored.model.parameters, aggregate.weightedSum]).toEqual(given);
            stored = { ...next, state: strategyStateSchema.parse(decode(encode(next.state))) };
          }
          expect(stored.model.digest).toBe(kept.model.digest);
          expect(Buffer.from(encode(stored.state)).equals(encode(kept.state))).toBe(true);
        }),
        { numRuns: 30 },
      );
    });

    test.skipIf(kind.momentum)('no round moves a parameter that its mean update leaves alone', () => {
      const first = strategy.next(
        model,
        aggregateOf([{ weight: 2, delta: [1, -1, 0.5] }]),
        strategy.initialState(),
      );
      const later = aggregateOf([{ weight: 2, delta: [0, 0.25, 0] }], 5);
      const { parameters } = strategy.next(first.model, later, first.state).model;
      const moved = [...parameters].map((value, i) => value !== first.model.parameters[i]);
      expect(moved).toEqual([false, true, false]);
    });

    test('the same aggregate gives the same bytes', () => {
      const next = () =>
        kind
          .create(options)
          .next(model, aggregateOf([{ weight: 3, delta: [0.1, 0.2, 0.3] }]), strategy.initialState());
      expect(next().model.digest).toBe(next().model.digest);
      expect(next().state).toEqual(next().state);
    });

    test('a state that a checkpoint stored goes on to the same bytes, and is left as it was', () => {
      const aggregate = aggregateOf([{ weight: 3, delta: [0.1, 0.2, 0.3] }]);
      const first = strategy.next(model, aggregate, strategy.initialState());
      const bytes = encode(first.state);
      const stored = strategyStateSchema.parse(decode(bytes));
      const later = aggregateOf([{ weight: 1, delta: [0.3, -0.2, 0] }], 5);
      expect(strategy.next(first.model, later, stored)).toEqual(
        strategy.next(first.model, later, first.state),
      );
      expect(Buffer.from(encode(stored)).equals(bytes)).toBe(true);
    });

    test.each([
      ['NaN', [0, Number.NaN, 0]],
      ['Infinity', [0, 0, Number.POSITIVE_INFINITY]],
      ['a number beyond float32', [1e39, 0, 0]],
    ])('%s in the sum is NOT_FINITE, with the parameter', (_, sum) => {
      const aggregate: Aggregate = asStage({
        round: 4,
        weightedSum: Float64Array.from(sum),
        totalWeight: 1,
        scores: null,
        groups: ['g0'],
      });
      const at = sum.findIndex((value) => value !== 0);
      expect(() => nextOf(model, aggregate)).toThrow(
        expect.objectContaining({ code: 'NOT_FINITE', message: expect.stringContaining(`parameter ${at} `) }),
      );
    });

    test('a total weight of 0 is NOT_FINITE, and a sum of another size is a fault', () => {
      const broken = (fields: Partial<Aggregate>): Aggregate =>
        asStage({
          round: 4,
          weightedSum: new Float64Array(3),
          totalWeight: 0,
          scores: null,
          groups: [],
          ...fields,
        });
      expect(() => nextOf(model, broken({}))).toThrow(expect.objectContaining({ code: 'NOT_FINITE' }));
      const short = broken({ weightedSum: new Float64Array(2), totalWeight: 1 });
      expect(() => nextOf(model, short)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    });

    test.runIf(averages)(
      'equal updates move the model by one of them, whatever their weights (property)',
      () => {
        fc.assert(
          fc.property(
            figures,
            figures,
            fc.array(weight, { minLength: 1, maxLength: 8 }),
            (start, delta, weights) => {
              const members = weights.map((each) => ({ weight: each, delta }));
              const before = makeModel(3, Float32Array.from(start));
              const next = nextOf(before, aggregateOf(members));
              expect([...next.parameters]).toEqual(start.map((value, i) => value + delta[i]!));
            },
          ),
        );
      },
    );

    test.runIf(averages)('an update of weight 3 counts as much as three of weight 1 (property)', () => {
      fc.assert(
        fc.property(figures, figures, (a, b) => {
          const heavy = aggregateOf([
            { weight: 3, delta: a },
            { weight: 1, delta: b },
          ]);
          const single = { weight: 1, delta: a };
          const light = aggregateOf([single, single, single, { weight: 1, delta: b }]);
          const next = nextOf(model, heavy);
          expect(next.digest).toBe(nextOf(model, light).digest);
          const expected = a.map((value, i) => Math.fround(model.parameters[i]! + (3 * value + b[i]!) / 4));
          expect([...next.parameters]).toEqual(expected);
        }),
      );
    });
  });
}
