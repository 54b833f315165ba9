import fc from 'fast-check';
import { expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { ADAM_KERNEL } from '../../src/training/adam-kernel.ts';
import { ADAM_DEFAULTS, adamStep, freshAdam } from '../../src/training/optimizer.ts';
import { ParameterMemory } from '../../src/training/parameter-memory.ts';
import { assembledKernel } from '../support/adam-kernel.ts';

test('the kernel is what its source assembles to', async () => {
  expect(ADAM_KERNEL).toBe(await assembledKernel());
});

const rate = fc.double({ min: 1e-6, max: 0.5, noNaN: true });
const options = fc.record({
  beta1: fc.double({ min: 0, max: 0.999, noNaN: true }),
  beta2: fc.double({ min: 0, max: 0.9999, noNaN: true }),
  epsilon: fc.constantFrom(1e-8, 1e-6, 1e-3),
  weightDecay: fc.constantFrom(0, 0.01, 0.1),
});

test('steps are those of adamStep, bit for bit, whatever the size (property)', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 67 }),
      fc.nat(),
      rate,
      options,
      fc.integer({ min: -30, max: 10 }),
      (size, seed, learningRate, adam, exponent) => {
        const random = randomStream(seed, 'adam');
        const draw = () => Float32Array.from({ length: size }, () => random.normal() * 2 ** exponent);
        const parameters = draw();
        const memory = new ParameterMemory(size);
        memory.parameters.set(parameters);
        memory.begin(null);
        const state = freshAdam(size);
        for (let step = 0; step < 4; step++) {
          const gradient = draw();
          if (step === 2) gradient.fill(0);
          memory.gradient.set(gradient);
          memory.step(learningRate, adam);
          adamStep(parameters, gradient, state, learningRate, adam);
        }
        expect(memory.parameters).toEqual(parameters);
        expect(memory.snapshot()).toEqual(state);
      },
    ),
  );
});

test('moments are taken over, and are fresh where none are given', () => {
  const memory = new ParameterMemory(3);
  const step = () => {
    memory.gradient.set([0.5, -1, 2]);
    memory.step(1e-2, ADAM_DEFAULTS);
  };
  memory.parameters.set(Float32Array.of(1, 2, 3));
  memory.begin(null);
  step();
  const [parameters, moments] = [memory.parameters.slice(), memory.snapshot()];
  step();
  const twice = memory.parameters.slice();
  memory.parameters.set(parameters);
  memory.begin(moments);
  step();
  expect(memory.parameters).toEqual(twice);
  memory.parameters.set(Float32Array.of(1, 2, 3));
  memory.begin(null);
  step();
  expect(memory.parameters).toEqual(parameters);
});

test('numbers that are none stay where they are', () => {
  const memory = new ParameterMemory(4);
  memory.parameters.set(Float32Array.of(1, 2, 3, 4));
  memory.begin(null);
  memory.gradient.set([1, Number.NaN, Number.POSITIVE_INFINITY, 1]);
  memory.step(1e-2, ADAM_DEFAULTS);
  expect([...memory.parameters].map(Number.isFinite)).toEqual([true, false, false, true]);
});

test('a predictor that cannot be addressed is refused before memory is taken', () => {
  expect(() => new ParameterMemory(2 ** 28)).toThrow(
    expect.objectContaining({ code: 'ENGINE_FAILED', hint: expect.stringContaining('predictor.width') }),
  );
});
