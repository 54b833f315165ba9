import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { stageRanges } from '../../src/predictor/staged/parts.ts';
import { boundarySpace, innerSpaces } from '../../src/sharding/parts/boundary-axes.ts';
import { innerKey, morphFrom, turnSpace } from '../../src/sharding/parts/morph.ts';
import type { Floats } from '../../src/sharding/parts/part-session.ts';
import { closeSharded, openSharded } from '../../src/sharding/parts/sharded-model.ts';
import { shardedPredict, shardedStep } from '../../src/sharding/parts/sharded-step.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import {
  allSpaces,
  distance,
  FEATURE_WIDTH,
  keyOf,
  mastersOf,
  morphAll,
  openWhole,
  startOf,
  tinyStaged,
  tinyTasks,
  turnAll,
} from '../support/sharding.ts';

const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('a rotation from a key', () => {
  test('is the same for the same key, another for another, orthogonal to 1e-12', () => {
    fc.assert(
      fc.property(
        keys,
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 1, max: 24 }),
        (key, bit, width) => {
          const rotation = morphFrom(key, width);
          const bytes = (matrix: Float64Array) => sha256(new Uint8Array(matrix.buffer));
          expect(bytes(morphFrom(key.slice(), width))).toBe(bytes(rotation));
          const other = key.slice();
          other[bit >> 3]! ^= 1 << (bit & 7);
          if (width > 1) expect(bytes(morphFrom(other, width))).not.toBe(bytes(rotation));
          for (let a = 0; a < width; a++) {
            for (let b = 0; b < width; b++) {
              let product = 0;
              for (let i = 0; i < width; i++) product += rotation[a * width + i]! * rotation[b * width + i]!;
              expect(Math.abs(product - Number(a === b))).toBeLessThan(1e-12);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  // Not an expected value that could be worked out by hand, but what every machine has to agree on.
  test('has these bits on every machine', () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(sha256(new Uint8Array(morphFrom(key, 16).buffer))).toMatchInlineSnapshot(
      `"d9ecca80d3becaa4aaf371162c6986c62a2a81bc000beb8c1b55854067fe2fc2"`,
    );
  });

  test('takes keys of 32 bytes only; spaces of a stage have keys of their own', () => {
    expect(() => morphFrom(new Uint8Array(31), 4)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    const inner = [1, 2, 3].map((space) => String(innerKey(keyOf('a'), space)));
    expect(new Set(inner).size).toBe(3);
    expect(String(innerKey(keyOf('a'), 1))).toBe(inner[0]);
    expect(String(innerKey(keyOf('b'), 1))).not.toBe(inner[0]);
  });
});

describe('spaces', () => {
  test('each has one side that writes and one that reads: turning a part of its tensors changes the model', async () => {
    const options = tinyStaged({ layersPerStage: 2 });
    const whole = await openWhole(options);
    const [batch] = tinyTasks(1);
    const before = await whole.predict(startOf(options), batch!);
    for (const space of allSpaces(options)) {
      const touching = whole.axes.filter((axis) => axis.space === space);
      expect(touching.length).toBeGreaterThan(2);
      for (const left of touching) {
        const turned = Float64Array.from(startOf(options));
        const others = touching.filter((axis) => axis !== left);
        // Biases of attention's output start at 0, where turning them does nothing.
        if (left.entry.name.endsWith('.out.bias')) continue;
        turnSpace(turned, others, space, morphFrom(keyOf(space), options.width));
        expect(distance(await whole.predict(turned, batch!), before), left.entry.name).toBeGreaterThan(1e-6);
      }
    }
    await whole.close();
  });

  test('those at boundaries and those inside stages are all there are', () => {
    const options = tinyStaged({ stages: 4, layersPerStage: 3 });
    const boundaries = Array.from({ length: 5 }, (_, boundary) => boundarySpace(boundary, options));
    const inside = Array.from({ length: 4 }, (_, stage) => innerSpaces(stage, options));
    expect([...boundaries, ...inside.flat()].sort((a, b) => a - b)).toEqual(allSpaces(options));
  });
});

describe('a morph', () => {
  const shapes = fc.record({
    stages: fc.integer({ min: 3, max: 4 }),
    layersPerStage: fc.integer({ min: 1, max: 2 }),
    heads: fc.integer({ min: 1, max: 3 }),
    perHead: fc.integer({ min: 1, max: 4 }),
    feedforward: fc.integer({ min: 1, max: 9 }),
    embedderLayers: fc.integer({ min: 2, max: 3 }),
    loss: fc.constantFrom('kl' as const, 'nll' as const),
  });

  test('of all spaces, by any keys and for any shape, changes no prediction', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, keys, fc.integer(), async ({ perHead, ...shape }, key, seed) => {
        const options = tinyStaged({ ...shape, width: shape.heads * perHead });
        const whole = await openWhole(options);
        const [batch] = tinyTasks(1, seed);
        const parameters = Float64Array.from(startOf(options, seed));
        const before = await whole.predict(parameters, batch!);
        const start = parameters.slice();
        for (const space of allSpaces(options)) {
          turnSpace(parameters, whole.axes, space, morphFrom(innerKey(key, space), options.width));
        }
        expect(distance(await whole.predict(parameters, batch!), before)).toBeLessThan(1e-10);
        if (options.width > 1) expect(distance(parameters, start)).toBeGreaterThan(0.1);
        await whole.close();
      }),
      { numRuns: 25 },
    );
  });

  test('of a model in parts changes no prediction either', async () => {
    const options = tinyStaged({ layersPerStage: 2 });
    const parameters = startOf(options);
    const setup = { options, parameters, featureWidth: FEATURE_WIDTH, optimizer: ADAM_DEFAULTS };
    const model = await openSharded({ ...setup, precision: 'float64' });
    const [batch] = tinyTasks(1);
    const before = await shardedPredict(model, batch!);
    morphAll(model, options, 1);
    expect(distance(await shardedPredict(model, batch!), before)).toBeLessThan(1e-10);
    const turned = Float64Array.from(parameters);
    turnAll(turned, options, 1);
    expect(distance(mastersOf(model), turned)).toBe(0);
    await closeSharded(model);
  });
});

test('3,000 morphs leave float64 masters within 1e-5, and float32 masters drift more', async () => {
  const options = tinyStaged();
  const whole = await openWhole(options);
  const [batch] = tinyTasks(1);
  const single = startOf(options);
  const double = Float64Array.from(single);
  const before = await whole.predict(double, batch!);
  for (let epoch = 0; epoch < 3000; epoch++) {
    for (const space of allSpaces(options)) {
      const rotation = morphFrom(keyOf('drift', epoch, space), options.width);
      turnSpace(double, whole.axes, space, rotation);
      turnSpace(single, whole.axes, space, rotation);
    }
  }
  const [kept, drifted] = [
    distance(await whole.predict(double, batch!), before),
    distance(await whole.predict(single, batch!), before),
  ];
  const measured = `float64 masters drift by ${kept}, float32 masters by ${drifted}`;
  expect(kept, measured).toBeLessThan(1e-5);
  expect(drifted, measured).toBeGreaterThan(1000 * kept);
  await whole.close();
});

describe('stages of different epochs', () => {
  test('do not fit: one of before the morph among those of after it predicts something else', async () => {
    const options = tinyStaged();
    const setup = { options, parameters: startOf(options), featureWidth: FEATURE_WIDTH };
    const model = await openSharded({ ...setup, optimizer: ADAM_DEFAULTS });
    for (const task of tinyTasks(150)) await shardedStep(model, [task], 0.01);
    const before = mastersOf(model);
    morphAll(model, options, 2);
    const after = mastersOf(model);
    await closeSharded(model);

    const whole = await openWhole(options);
    const asked = tinyTasks(8, 9);
    /** Mean distance of the shares from the truth, summed over the options of a question. */
    const errorOf = async (parameters: Floats) => {
      let [sum, questions] = [0, 0];
      for (const batch of asked) {
        const shares = await whole.predict(parameters, batch);
        batch.target.probabilities.forEach((truth, i) => {
          sum += Math.abs(truth - shares[i]!);
        });
        questions += new Set(batch.target.questions).size;
      }
      return sum / questions;
    };
    const [trained, turned] = [await errorOf(before), await errorOf(after)];
    const untrained = await errorOf(startOf(options));
    expect(Math.abs(turned - trained)).toBeLessThan(1e-10);
    expect(trained).toBeLessThan(0.8 * untrained);
    for (const { start, end } of stageRanges(whole.layout, options).stages) {
      const stitched = after.slice();
      stitched.set(before.subarray(start, end), start);
      expect(await errorOf(stitched)).toBeGreaterThan(trained + 0.5 * (untrained - trained));
    }
    await whole.close();
  });
});
