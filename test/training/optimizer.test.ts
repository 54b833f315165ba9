import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { ADAM_DEFAULTS, type AdamOptions, adamStep, freshAdam } from '../../src/training/optimizer.ts';

/** One parameter after one step from the fresh state. */
function stepped(parameter: number, gradient: number, learningRate: number, options?: AdamOptions): number {
  const parameters = Float32Array.of(parameter);
  adamStep(parameters, Float64Array.of(gradient), freshAdam(1), learningRate, options);
  return parameters[0]!;
}

describe('one step by hand', () => {
  test('the first step is the learning rate against the sign of the gradient', () => {
    // m = 0.1 g and v = 0.001 g^2 after correction are g and g^2: the step is 0.1 * g / (|g| + 1e-8).
    expect(stepped(1, 0.5, 0.1)).toBe(Math.fround(1 - (0.1 * 0.5) / (0.5 + 1e-8)));
    expect(stepped(1, -4, 0.1)).toBe(Math.fround(1 + (0.1 * 4) / (4 + 1e-8)));
    expect(stepped(1, 0, 0.1)).toBe(1);
  });

  test('epsilon is added after the correction of the second moment, as torch does', () => {
    // A gradient as small as epsilon halves the step; epsilon before the correction would leave 3% of it.
    expect(stepped(0, 1e-8, 0.1)).toBeCloseTo(-0.05, 7);
  });

  test('AdamW: decay shrinks the parameter by lr * decay and does not enter the moments', () => {
    const options = { ...ADAM_DEFAULTS, weightDecay: 0.01 };
    expect(stepped(1, 0.5, 0.1, options)).toBe(Math.fround(1 * (1 - 0.001) - (0.1 * 0.5) / (0.5 + 1e-8)));
    const state = freshAdam(1);
    const parameters = Float32Array.of(2);
    adamStep(parameters, Float32Array.of(0), state, 0.1, options);
    expect(parameters[0]).toBe(Math.fround(2 * 0.999));
    expect(state).toEqual({ first: Float32Array.of(0), second: Float32Array.of(0), steps: 1 });
  });

  test('the defaults are torch’s', () => {
    expect(ADAM_DEFAULTS).toEqual({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 });
  });
});

/** Algorithm 2 of Loshchilov & Hutter (2019), line by line in float64 on one parameter. */
function textbook(start: number, gradients: readonly number[], rate: number, options: AdamOptions): number {
  const { beta1, beta2, epsilon, weightDecay } = options;
  let [theta, m, v] = [start, 0, 0];
  for (const [index, g] of gradients.entries()) {
    const t = index + 1;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g ** 2;
    const corrected = m / (1 - beta1 ** t) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon);
    theta -= rate * (corrected + weightDecay * theta);
  }
  return theta;
}

describe('many steps', () => {
  const random = randomStream(1, 'adam');
  const gradients = Array.from({ length: 50 }, () => Array.from({ length: 4 }, () => random.normal()));
  const start = [0.3, -1, 2, 0];

  test.each([0, 0.1])('follow the textbook with weight decay %d', (weightDecay) => {
    const options = { ...ADAM_DEFAULTS, weightDecay };
    const parameters = Float32Array.from(start);
    const state = freshAdam(4);
    for (const gradient of gradients) adamStep(parameters, Float64Array.from(gradient), state, 1e-2, options);
    expect(state.steps).toBe(50);
    for (const [i, value] of start.entries()) {
      const own = gradients.map((gradient) => gradient[i]!);
      // Parameters are kept in float32, hence half an ulp of 2 per step.
      expect(Math.abs(parameters[i]! - textbook(value, own, 1e-2, options))).toBeLessThan(50 * 1.2e-7);
    }
  });

  test('stopped and gone on with the same state, they end at the same bits', () => {
    const whole = Float32Array.from(start);
    const parts = Float32Array.from(start);
    const [state, first] = [freshAdam(4), freshAdam(4)];
    for (const gradient of gradients) adamStep(whole, Float64Array.from(gradient), state, 1e-2);
    for (const gradient of gradients.slice(0, 20)) adamStep(parts, Float64Array.from(gradient), first, 1e-2);
    const resumed = { first: first.first.slice(), second: first.second.slice(), steps: first.steps };
    for (const gradient of gradients.slice(20)) adamStep(parts, Float64Array.from(gradient), resumed, 1e-2);
    expect(parts).toEqual(whole);
    expect(resumed).toEqual(state);
  });
});
