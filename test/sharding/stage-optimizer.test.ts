import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import { tensorOf } from '../../src/predictor/layout.ts';
import { boundaryAxes } from '../../src/sharding/parts/boundary-axes.ts';
import { morphFrom, turnSpace } from '../../src/sharding/parts/morph.ts';
import {
  freshMoments,
  type SharedAxis,
  sharedAxes,
  stageAdamStep,
} from '../../src/sharding/parts/stage-optimizer.ts';
import { ADAM_DEFAULTS, adamStep, freshAdam } from '../../src/training/optimizer.ts';
import { allSpaces, distance, keyOf, startOf, tinyPredictor, tinyStaged } from '../support/sharding.ts';

const options = tinyStaged({ layersPerStage: 2 });
const { layout } = tinyPredictor(options);
const axes = boundaryAxes(layout, options);
const adam = { ...ADAM_DEFAULTS, weightDecay: 0.1 };
const STEPS = 5;

/** What the graphs give: nothing for what is frozen. */
function gradientFrom(random: RandomStream): Float64Array {
  const gradient = new Float64Array(layout.size);
  for (const { offset, size, frozen } of layout.entries) {
    for (let i = offset; i < offset + size; i++) gradient[i] = frozen ? 0 : random.normal();
  }
  return gradient;
}

/** Trains on random gradients; turned: everything, parameters, moments and gradients, in the middle of it. */
function train(seed: number, shared: readonly SharedAxis[], turned: 'at the end' | 'in the middle') {
  const random = randomStream(seed, 'gradients');
  const parameters = Float64Array.from(startOf(options));
  const moments = freshMoments(layout.size);
  const turn = (values: Float64Array) => {
    for (const space of allSpaces(options)) {
      turnSpace(values, axes, space, morphFrom(keyOf(seed, space), options.width));
    }
  };
  for (let step = 0; step < 2 * STEPS; step++) {
    if (turned === 'in the middle' && step === STEPS) {
      turn(parameters);
      turn(moments.first);
    }
    const gradient = gradientFrom(random);
    if (turned === 'in the middle' && step >= STEPS) turn(gradient);
    stageAdamStep(layout, shared, parameters, gradient, moments, 0.01, adam);
  }
  if (turned === 'at the end') turn(parameters);
  return parameters;
}

describe('the optimiser of stages', () => {
  test('turns with the parameters', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const shared = sharedAxes(layout, axes);
        const apart = distance(train(seed, shared, 'in the middle'), train(seed, shared, 'at the end'));
        expect(apart).toBeLessThan(1e-12);
      }),
      { numRuns: 10 },
    );
  });

  test('does not with a second moment for each element', () => {
    expect(distance(train(1, [], 'in the middle'), train(1, [], 'at the end'))).toBeGreaterThan(1e-3);
  });

  test('leaves what is frozen as it is, by weight decay too', () => {
    const parameters = Float64Array.from(startOf(options));
    const before = parameters.slice();
    const noise = randomStream(2, 'noise');
    const gradient = parameters.map(() => noise.normal());
    stageAdamStep(layout, axes, parameters, gradient, freshMoments(layout.size), 0.01, adam);
    for (const { offset, size, frozen, name } of layout.entries) {
      const moved = distance(
        parameters.subarray(offset, offset + size),
        before.subarray(offset, offset + size),
      );
      if (frozen) expect(moved, name).toBe(0);
      else expect(moved, name).toBeGreaterThan(1e-4);
    }
  });

  test('is the ordinary AdamW where nothing is shared', () => {
    const name = 'stages.1.layers.0.query';
    const ordinary = startOf(options);
    const parameters = Float64Array.from(ordinary);
    const [moments, state] = [freshMoments(layout.size), freshAdam(layout.size)];
    const random = randomStream(3, 'ordinary');
    for (let step = 0; step < 20; step++) {
      const gradient = gradientFrom(random);
      stageAdamStep(layout, sharedAxes(layout, axes), parameters, gradient, moments, 0.01, adam);
      adamStep(ordinary, gradient, state, 0.01, adam);
    }
    const of = (values: Float32Array) => tensorOf(layout, values, name);
    expect(distance(of(Float32Array.from(parameters)), of(ordinary))).toBeLessThan(1e-6);
    expect(distance(of(ordinary), of(startOf(options)))).toBeGreaterThan(0.05);
  });

  test('shares over outputs: each input of an exit has one second moment for all of them', () => {
    const moments = freshMoments(layout.size);
    const gradient = gradientFrom(randomStream(4, 'shared'));
    stageAdamStep(
      layout,
      sharedAxes(layout, axes),
      new Float64Array(layout.size),
      gradient,
      moments,
      0.01,
      adam,
    );
    const { offset } = layout.entries.find(({ name }) => name === 'stages.0.layers.1.linear2.weight')!;
    const { width } = options;
    for (let row = 0; row < options.feedforward; row++) {
      const at = offset + row * width;
      const squares = gradient.subarray(at, at + width).map((value) => value ** 2);
      const mean = squares.reduce((sum, value) => sum + value, 0) / width;
      for (const value of moments.second.subarray(at, at + width)) {
        expect(Math.abs(value / (mean * 0.001) - 1)).toBeLessThan(1e-12);
      }
    }
  });
});
