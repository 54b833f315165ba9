import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { GRAPH_NAMES, type PredictorKind } from '../../src/predictor/predictor.ts';
import { openGraph, type TestSession } from '../support/graph-session.ts';
import { type BatchQuestion, batchFrom, randomQuestions, rowsFor } from '../support/random-batch.ts';

/** What the suite needs to know about a predictor. */
export interface PredictorCase {
  readonly kind: PredictorKind;
  /** Small: every parameter of it is read by the gradient test. */
  readonly options: Readonly<Record<string, unknown>>;
}

const FEATURE_WIDTH = 3;
const QUESTIONS = 12;
const SHAPE = { featureWidth: FEATURE_WIDTH, rows: rowsFor(QUESTIONS) };
const DIRECTIONS = 6;
/** Step of the central differences: so small that no ReLU is likely to turn within it. */
const STEP = 1e-6;

/** What every trained predictor promises; called from the test of each, for every variant of its options. */
export function predictorConformance({ kind, options }: PredictorCase): void {
  const predictor = kind.create(options, SHAPE);
  const { layout } = predictor;
  const initialise = (seed = 1) => predictor.initialise((tensor) => randomStream(seed, tensor));
  const questions = randomQuestions(3, QUESTIONS, FEATURE_WIDTH);
  const context = questions.slice(0, 5);
  const targets = questions.slice(5);

  describe(`conformance of predictor "${kind.name}" ${JSON.stringify(options)}`, () => {
    let prediction: TestSession;
    beforeAll(async () => {
      prediction = await openGraph(predictor.predictionGraph());
    });
    afterAll(() => prediction.close());

    /** Predicted shares by question. */
    async function predict(asked: readonly BatchQuestion[], given = context): Promise<Map<number, number[]>> {
      const feeds = predictor.feeds(batchFrom(FEATURE_WIDTH, given, asked));
      const { [GRAPH_NAMES.probabilities]: shares } = await prediction.run(feeds, initialise());
      let position = 0;
      return new Map(
        asked.map(({ index, shares: { length } }) => {
          position += length;
          return [index, [...shares!.subarray(position - length, position)]];
        }),
      );
    }

    function expectClose(
      found: ReadonlyMap<number, number[]>,
      expected: ReadonlyMap<number, number[]>,
    ): void {
      for (const [question, shares] of found) {
        const reference = expected.get(question)!;
        expect(shares).toHaveLength(reference.length);
        for (const [i, share] of shares.entries()) expect(Math.abs(share - reference[i]!)).toBeLessThan(1e-5);
      }
    }

    test('says what it is, with every default filled in, and refuses options that it does not know', () => {
      expect(predictor).toMatchObject({ name: kind.name, featureWidth: FEATURE_WIDTH });
      expect(predictor.options).toMatchObject(options);
      expect(kind.options.parse(predictor.options)).toEqual(predictor.options);
      expect(JSON.parse(JSON.stringify(predictor.options))).toEqual(predictor.options);
      expect(kind.options.safeParse({ ...options, no_such_option: 1 }).success).toBe(false);
    });

    test('the layout tiles the flat vector', () => {
      let covered = 0;
      for (const { offset, size, shape } of layout.entries) {
        expect(offset).toBe(covered);
        expect(size).toBe(shape.reduce((product, dim) => product * dim, 1));
        expect(size).toBeGreaterThan(0);
        covered += size;
      }
      expect(covered).toBe(layout.size);
      expect(new Set(layout.entries.map(({ name }) => name)).size).toBe(layout.entries.length);
    });

    test('fresh parameters are finite, the same for the same seed and others for another', () => {
      const parameters = initialise();
      expect(parameters).toHaveLength(layout.size);
      expect(parameters.every(Number.isFinite)).toBe(true);
      expect(initialise()).toEqual(parameters);
      expect(initialise(2)).not.toEqual(parameters);
    });

    test('the same options give the same bytes', () => {
      const again = kind.create(options, SHAPE);
      const same = (a: Uint8Array, b: Uint8Array) => expect(Buffer.from(a).equals(b)).toBe(true);
      same(again.trainingGraph(), predictor.trainingGraph());
      same(again.predictionGraph(), predictor.predictionGraph());
      const metadata = { run: 'a' };
      same(again.exportGraph(initialise(), metadata), predictor.exportGraph(initialise(), metadata));
    });

    test('the gradient is the derivative of the loss, in every direction tried', async () => {
      const session = await openGraph(predictor.trainingGraph({ precision: 'float64' }), 'float64');
      const feeds = predictor.feeds(batchFrom(FEATURE_WIDTH, context, targets));
      const random = randomStream(4, 'directions');
      // Away from the start, where biases are 0 and norms 1, so that no factor hides in them.
      const point = Float64Array.from(initialise(), (value) => value + 0.1 * random.normal());
      const gradient = (await session.run(feeds, point))[GRAPH_NAMES.gradient]!;
      expect(gradient).toHaveLength(layout.size);
      expect(gradient.some((value) => value !== 0)).toBe(true);
      const lossAt = async (direction: Float64Array, step: number) => {
        const moved = point.map((value, i) => value + step * direction[i]!);
        return (await session.run(feeds, moved))[GRAPH_NAMES.loss]![0]!;
      };
      const trained = layout.entries.filter(({ frozen }) => !frozen);
      const along = (entries: typeof layout.entries) => {
        const direction = new Float64Array(layout.size);
        for (const { offset, size } of entries) {
          for (let i = offset; i < offset + size; i++) direction[i] = random.normal();
        }
        return direction;
      };
      const directions = [
        ...Array.from({ length: DIRECTIONS }, () => along(trained)),
        // Along one tensor at a time, so that an error in a small one does not drown.
        ...trained.map((entry) => along([entry])),
      ];
      for (const [index, direction] of directions.entries()) {
        const slope = ((await lossAt(direction, STEP)) - (await lossAt(direction, -STEP))) / (2 * STEP);
        const claimed = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
        const where = trained[index - DIRECTIONS]?.name ?? 'all';
        expect(Math.abs(claimed - slope) / Math.max(1, Math.abs(slope)), where).toBeLessThan(1e-6);
      }
      await session.close();
    });

    const frozen = layout.entries.filter((entry) => entry.frozen);
    if (frozen.length > 0) {
      test('what is not trained has a gradient of exactly 0', async () => {
        const session = await openGraph(predictor.trainingGraph());
        const feeds = predictor.feeds(batchFrom(FEATURE_WIDTH, context, targets));
        const gradient = (await session.run(feeds, initialise()))[GRAPH_NAMES.gradient]!;
        for (const { name, offset, size } of frozen) {
          expect(new Set(gradient.subarray(offset, offset + size)), name).toEqual(new Set([0]));
        }
        await session.close();
      });
    }

    test('loss and gradient in float32 are those in float64', async () => {
      const feeds = predictor.feeds(batchFrom(FEATURE_WIDTH, context, targets));
      const results = await Promise.all(
        (['float32', 'float64'] as const).map(async (precision) => {
          const session = await openGraph(predictor.trainingGraph({ precision }), precision);
          const outputs = await session.run(feeds, initialise());
          await session.close();
          return [...outputs[GRAPH_NAMES.loss]!, ...outputs[GRAPH_NAMES.gradient]!];
        }),
      );
      const [single, double] = results as [number[], number[]];
      const distance = Math.hypot(...single.map((value, i) => value - double[i]!));
      expect(distance / Math.hypot(...double)).toBeLessThan(1e-5);
    });

    test('shares are positive and sum to 1 within each question', async () => {
      for (const shares of (await predict(targets)).values()) {
        expect(shares.every((share) => share > 0 && share < 1)).toBe(true);
        expect(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1)).toBeLessThan(1e-6);
      }
    });

    test('the order of the target questions does not show in their predictions', async () => {
      const order = randomStream(5, 'order').shuffled(targets);
      expect(order).not.toEqual(targets);
      expectClose(await predict(order), await predict(targets));
    });

    test('a prediction does not depend on what else is asked', async () => {
      const together = await predict(targets);
      for (const target of targets) expectClose(await predict([target]), together);
    });

    test('a prediction does not depend on the true answer to what is asked', async () => {
      const blind = targets.map((target) => ({ ...target, shares: new Float32Array(target.shares.length) }));
      expect(await predict(blind)).toEqual(await predict(targets));
    });

    test('a prediction depends on what the group told', async () => {
      const [first, ...rest] = context;
      const turned = { ...first!, shares: first!.shares.slice().reverse() };
      expect(await predict(targets, [turned, ...rest])).not.toEqual(await predict(targets));
    });
  });
}
