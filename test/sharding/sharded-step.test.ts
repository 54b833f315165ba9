import { describe, expect, test } from 'vitest';
import type { Precision } from '../../src/sharding/parts/part-session.ts';
import { closeSharded, openSharded } from '../../src/sharding/parts/sharded-model.ts';
import { shardedPredict, shardedStep } from '../../src/sharding/parts/sharded-step.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import {
  distance,
  FEATURE_WIDTH,
  mastersOf,
  morphAll,
  openTwin,
  startOf,
  tinyStaged,
  tinyTasks,
  turnAll,
} from '../support/sharding.ts';

const STEPS = 200;
const MORPH_EVERY = 10;
const optimizer = { ...ADAM_DEFAULTS, weightDecay: 0.01 };

interface Trial {
  readonly precision: Precision;
  readonly loss: 'kl' | 'nll';
  readonly layersPerStage: number;
  readonly learningRate: number;
  /** Tasks of a step. */
  readonly tasks?: number;
  /** No sharing of second moments, on either side. */
  readonly elementwise?: boolean;
}

/** Trains a model in parts, all boundaries and insides morphed again and again, beside the same in one piece that is not. */
async function trainBoth({
  precision,
  loss,
  layersPerStage,
  learningRate,
  tasks = 1,
  elementwise = false,
}: Trial) {
  const options = tinyStaged({ layersPerStage, loss });
  const setup = { options, parameters: startOf(options), precision, optimizer };
  const shared = elementwise ? { shared: [] } : {};
  const sharded = await openSharded({ ...setup, ...shared, featureWidth: FEATURE_WIDTH });
  const twin = await openTwin({ ...setup, elementwise });
  const drawn = tinyTasks(STEPS * tasks);
  const [losses, epochs]: [number[], number[]] = [[], []];
  let worst = 0;
  for (let step = 0; step < STEPS; step++) {
    if (step % MORPH_EVERY === MORPH_EVERY / 2) {
      morphAll(sharded, options, step);
      epochs.push(step);
    }
    const batch = drawn.slice(step * tasks, (step + 1) * tasks);
    const found = await shardedStep(sharded, batch, learningRate);
    losses.push(found);
    worst = Math.max(worst, Math.abs(found - (await twin.step(batch, learningRate))));
  }
  const apart = [];
  for (const batch of tinyTasks(5, 9)) {
    apart.push(distance(await shardedPredict(sharded, batch), await twin.predict(batch)));
  }
  const turned = twin.masters();
  for (const epoch of epochs) turnAll(turned, options, epoch);
  const parameters = distance(mastersOf(sharded), turned);
  const moved = distance(mastersOf(sharded), twin.masters());
  await Promise.all([closeSharded(sharded), twin.close()]);
  return { losses, worst, predictions: Math.max(...apart), parameters, moved, epochs };
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('200 steps in three stages with a morph of everything every 10 are those of the whole model without', () => {
  test.each([
    { loss: 'kl', layersPerStage: 1, tasks: 2 },
    { loss: 'nll', layersPerStage: 2, tasks: 1 },
  ] as const)('exactly so in float64, parameter by parameter: %o', async (trial) => {
    const found = await trainBoth({ ...trial, precision: 'float64', learningRate: 0.003 });
    expect(found.epochs).toHaveLength(STEPS / MORPH_EVERY);
    expect(found.worst).toBeLessThan(1e-9);
    expect(found.predictions).toBeLessThan(1e-9);
    expect(found.parameters).toBeLessThan(1e-7);
    // They are not the same parameters, and they were trained.
    expect(found.moved).toBeGreaterThan(0.1);
    expect(meanOf(found.losses.slice(-20))).toBeLessThan(meanOf(found.losses.slice(0, 20)) - 0.1);
  });

  // The learning rate is moderate because steps amplify rounding: morphs or not, two float32 runs that differ in a last digit part.
  test.each([
    { loss: 'kl', layersPerStage: 1 },
    { loss: 'nll', layersPerStage: 1 },
    { loss: 'nll', layersPerStage: 2 },
  ] as const)('within 1e-5 in float32: %o', async (trial) => {
    const found = await trainBoth({ ...trial, precision: 'float32', learningRate: 0.001 });
    expect(found.worst).toBeLessThan(1e-5);
    expect(found.predictions).toBeLessThan(1e-5);
  });

  test('and are not with Adam’s own second moments, which do not turn with the parameters', async () => {
    const trial = { precision: 'float64', loss: 'kl', layersPerStage: 1, learningRate: 0.003 } as const;
    const found = await trainBoth({ ...trial, elementwise: true });
    expect(found.predictions).toBeGreaterThan(1e-3);
    expect(found.worst).toBeGreaterThan(1e-3);
  });
});

test('a step follows the mean gradient of its tasks, and a morph in the middle of it is a fault', async () => {
  const options = tinyStaged();
  const setup = { options, parameters: startOf(options), precision: 'float64', optimizer } as const;
  const [once, twice] = [
    await openSharded({ ...setup, featureWidth: FEATURE_WIDTH }),
    await openSharded({ ...setup, featureWidth: FEATURE_WIDTH }),
  ];
  const [task] = tinyTasks(1);
  await shardedStep(once, [task!], 0.01);
  await shardedStep(twice, [task!, task!], 0.01);
  expect(distance(mastersOf(once), mastersOf(twice))).toBeLessThan(1e-12);
  expect(distance(mastersOf(once), setup.parameters)).toBeGreaterThan(1e-3);

  const frame = { data: new Float64Array(2 * 8).fill(0.1), rows: 2, width: 8 };
  const stage = once.stages[0]!;
  await stage.backward(frame, frame, { context: 1, target: 1 });
  const fault = expect.objectContaining({ code: 'INTERNAL' });
  expect(() => stage.foldInside(new Uint8Array(32))).toThrow(fault);
  stage.step(0.01);
  expect(() => stage.foldInside(new Uint8Array(32))).not.toThrow();
  expect(() => stage.step(0.01)).toThrow(fault);
  await Promise.all([closeSharded(once), closeSharded(twice)]);
});
