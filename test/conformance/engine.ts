import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import type { Batch, Points } from '../../src/predictor/batch.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import type { Engine, EngineSetup } from '../../src/training/engine.ts';
import { HostEngine } from '../../src/training/host-engine.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { relativeError } from '../../src/training/vectors.ts';

const FEATURE_WIDTH = 9;
const TABLE_ROWS = 80;
const RATE = 1e-3;
const STEPS = 20;

export const ENGINE_PREDICTOR = gpo.create(
  { width: 16, layers: 2, heads: 2, feedforward: 12, embedderLayers: 2 },
  { featureWidth: FEATURE_WIDTH, rows: 0 },
);

function tableFrom(random: RandomStream): Float32Array {
  return Float32Array.from({ length: TABLE_ROWS * FEATURE_WIDTH }, () => random.normal());
}

function pointsFrom(random: RandomStream, questions: number): Points {
  const questionOf = Array.from({ length: questions }, (_, q) => Array<number>(2 + (q % 3)).fill(q)).flat();
  return {
    rows: Int32Array.from(questionOf, () => random.below(TABLE_ROWS)),
    probabilities: Float32Array.from(questionOf, (q) => 1 / (2 + (q % 3))),
    questions: Int32Array.from(questionOf),
  };
}

/** Batches of different sizes over one table. */
export function engineBatches(count: number, seed = 0): Batch[] {
  const random = randomStream(seed, 'engine-batches');
  const table = tableFrom(random);
  return Array.from({ length: count }, () =>
    asStage({
      width: FEATURE_WIDTH,
      table,
      context: pointsFrom(random, 1 + random.below(6)),
      target: pointsFrom(random, 1 + random.below(6)),
    }),
  );
}

/** Fresh parameters. */
export function engineParameters(): Float32Array {
  return ENGINE_PREDICTOR.initialise((tensor) => randomStream(1, tensor));
}

/** What every engine promises, held against the CPU in float32 features. `open` makes one on the device under test. */
export function engineConformance(name: string, open: (setup: Omit<EngineSetup, 'device'>) => Engine): void {
  const setup = {
    predictor: ENGINE_PREDICTOR,
    optimizer: { ...ADAM_DEFAULTS, weightDecay: 0.01 },
    features: 'float32',
  } as const;
  const batches = engineBatches(STEPS);
  const start = engineParameters();

  async function train(engine: Engine, some: readonly Batch[]): Promise<number[]> {
    const losses = [];
    for (const batch of some) losses.push(await engine.step(batch, RATE));
    return losses;
  }

  describe(`conformance of the engine on ${name}`, () => {
    let engine: Engine;
    const reference = new HostEngine({ ...setup, device: 'cpu' });
    beforeAll(() => {
      engine = open(setup);
    });
    afterAll(async () => {
      await engine.close();
      await reference.close();
    });

    test(`${STEPS} steps on batches of different sizes are those of the CPU within 1e-4`, async () => {
      await engine.load(start);
      await engine.begin(null);
      await reference.load(start);
      await reference.begin(null);
      const losses = await train(engine, batches);
      expect(relativeError(losses, await train(reference, batches))).toBeLessThan(1e-4);
      const after = await engine.parameters();
      expect(relativeError(after, await reference.parameters())).toBeLessThan(1e-4);
      expect(relativeError(after, start)).toBeGreaterThan(1e-3);
      const [own, expected] = [await engine.optimizer(), await reference.optimizer()];
      expect(own.steps).toBe(STEPS);
      expect(relativeError(own.first, expected.first)).toBeLessThan(1e-4);
      expect(relativeError(own.second, expected.second)).toBeLessThan(1e-4);
    });

    test('gradient and predictions are those of the CPU within 1e-5', async () => {
      for (const batch of batches.slice(0, 3)) {
        await engine.load(start);
        await engine.begin(null);
        await reference.load(start);
        await reference.begin(null);
        const [own, expected] = [await engine.gradient(batch), await reference.gradient(batch)];
        expect(relativeError(own.gradient, expected.gradient)).toBeLessThan(1e-5);
        expect(relativeError([own.loss], [expected.loss])).toBeLessThan(1e-5);
        const predicted = await engine.predict(batch);
        expect(relativeError(predicted, await reference.predict(batch))).toBeLessThan(1e-5);
      }
    });

    test('training that is interrupted and taken up with its moments is the same', async () => {
      await engine.load(start);
      await engine.begin(null);
      await train(engine, batches.slice(0, 6));
      const whole = await engine.parameters();
      await engine.load(start);
      await engine.begin(null);
      await train(engine, batches.slice(0, 3));
      const [parameters, moments] = [await engine.parameters(), await engine.optimizer()];
      // Another group's turn in between.
      await engine.load(start);
      await engine.begin(null);
      await train(engine, batches.slice(6, 8));
      await engine.load(parameters);
      await engine.begin(moments);
      await train(engine, batches.slice(3, 6));
      expect(relativeError(await engine.parameters(), whole)).toBeLessThan(1e-6);
    });

    test('what it answers is the caller’s: later steps do not change it', async () => {
      await engine.load(start);
      await engine.begin(null);
      const parameters = await engine.parameters();
      const { gradient } = await engine.gradient(batches[0]!);
      const kept = [parameters.slice(), gradient.slice()];
      await train(engine, batches.slice(0, 2));
      await engine.gradient(batches[1]!);
      expect([parameters, gradient]).toEqual(kept);
      expect(start).toEqual(engineParameters());
    });

    test('a batch over another table is read from that table', async () => {
      const [other] = engineBatches(1, 7);
      await engine.load(start);
      await engine.begin(null);
      await engine.predict(batches[0]!);
      await reference.load(start);
      await reference.begin(null);
      const expected = await reference.predict(other!);
      expect(relativeError(await engine.predict(other!), expected)).toBeLessThan(1e-5);
    });
  });
}
