import { expect, test } from 'vitest';
import type { GradientResult, TrainJob, TrainResult } from '../../src/training/jobs.ts';
import { adamStep, freshAdam } from '../../src/training/optimizer.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { tinyParameters, tinySetup } from '../support/tiny-training.ts';

const STEPS = 5;
const RATE = 1e-2;
const stream = ['group', 'g1'];

function jobWith(proximal?: number): TrainJob {
  return {
    kind: 'train',
    parameters: tinyParameters(),
    group: 1,
    stream,
    firstStep: 0,
    steps: STEPS,
    totalSteps: STEPS,
    optimizer: null,
    keepOptimizer: false,
    ...(proximal === undefined ? {} : { proximal }),
  };
}

async function trained(proximal?: number): Promise<Float32Array> {
  const result = await new Trainer(tinySetup()).run(jobWith(proximal));
  return (result as TrainResult).parameters;
}

/** The same steps by hand: the gradient of the loss at each point, plus mu (theta - received), through Adam. */
async function byHand(proximal: number): Promise<Float32Array> {
  const trainer = new Trainer(tinySetup());
  const received = tinyParameters();
  const parameters = received.slice();
  const state = freshAdam(parameters.length);
  for (let step = 0; step < STEPS; step++) {
    const job = { kind: 'gradient' as const, parameters: parameters.slice(), group: 1, stream, step };
    const { gradient } = (await trainer.run(job)) as GradientResult;
    const held = gradient.map((value, i) => value + proximal * (parameters[i]! - received[i]!));
    adamStep(parameters, held, state, RATE);
  }
  return parameters;
}

const distance = (parameters: Float32Array) => {
  const start = tinyParameters();
  return Math.hypot(...parameters.map((value, i) => value - start[i]!));
};

test.each([0.01, 1, 100])(
  'with mu = %d each step goes by the gradient of the loss and the term',
  async (mu) => {
    expect(await trained(mu)).toEqual(await byHand(mu));
  },
);

test('without it, and with mu = 0, training is as it was', async () => {
  expect(await trained()).toEqual(await byHand(0));
  expect(await trained(0)).toEqual(await trained());
});

test('the larger mu, the nearer training stays to what it received', async () => {
  const distances = [];
  for (const mu of [0, 1, 100]) distances.push(distance(await trained(mu)));
  expect(distances).toEqual([...distances].sort((a, b) => b - a));
  expect(new Set(distances).size).toBe(3);
});

test('a job without the term forgets that of the job before it', async () => {
  const trainer = new Trainer(tinySetup());
  await trainer.run(jobWith(100));
  expect(await trainer.run(jobWith(0))).toMatchObject({ parameters: await trained() });
});
