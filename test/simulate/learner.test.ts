import { afterAll, describe, expect, test } from 'vitest';
import { layOut } from '../../src/predictor/layout.ts';
import { setupOf } from '../../src/simulate/experiment.ts';
import { trainFederated } from '../../src/simulate/federated.ts';
import type { Learner, TrainedGroup } from '../../src/simulate/learner.ts';
import { poolLearner } from '../../src/simulate/pool-learner.ts';
import { startPool } from '../../src/training/pool.ts';
import { makeModel } from '../../src/wire/model.ts';
import { temporaryFolder } from '../support/cli.ts';
import { tinyExperiment, tinyRun } from '../support/tiny-experiment.ts';

const folder = temporaryFolder();
const plain = tinyExperiment(4);
const pool = startPool(setupOf(plain), 2);
afterAll(() => pool.close());

const runOf = (...overrides: readonly string[]) => tinyRun(tinyExperiment(4, ...overrides), { folder, pool });

const EQUALLY = 'strategy={ name: fedavg, weighting: equal }';

/** A stand-in of two parameters: each group adds its index to the first and 1 to the second. It remembers of which models it was asked for predictions. */
function standIn(predicted: number[] = []): Learner {
  const { questions } = plain.survey;
  return {
    layout: layOut([{ name: 'sums', shape: [2] }]),
    memory: () => null,
    restore: async () => undefined,
    close: async () => undefined,
    initial: () => makeModel(0, new Float32Array(2)),
    train: async ({ groups, received }, consume) => {
      for (const group of groups) {
        consume({ group, parameters: received.map((value, i) => value + [group, 1][i]!), loss: group });
      }
    },
    predictor: (parameters) => {
      predicted.push(parameters[0]!);
      return async ({ targets }) =>
        targets.map((target) => {
          const options = questions[target]!.options.length;
          return new Float32Array(options).fill(1 / options);
        });
    },
  };
}

describe('training in the pool', () => {
  test('hands groups over in the order asked, each as it is when it trains alone', async () => {
    const learner = poolLearner(runOf());
    const trainedOf = async (...groups: readonly number[]) => {
      const all: TrainedGroup[] = [];
      const received = learner.initial().parameters;
      await learner.train({ groups, round: 2, received }, (trained) => all.push(trained));
      return all;
    };
    const together = await trainedOf(3, 0, 2);
    expect(together.map(({ group }) => group)).toEqual([3, 0, 2]);
    for (const trained of together) expect(await trainedOf(trained.group)).toEqual([trained]);
    expect(new Set(together.map(({ loss }) => loss)).size).toBe(3);
  });
});

describe('a federated run', () => {
  test("averages, stores and scores the learner's vector, whatever the predictor's is", async () => {
    const predicted: number[] = [];
    const run = runOf(EQUALLY, 'protection=none');
    const { model, progress } = await trainFederated(run, standIn(predicted));
    // Three rounds, in each of which the mean of 0, 1, 2 and 3 is added.
    expect([...model.parameters]).toEqual([4.5, 3]);
    expect(progress.losses).toEqual([1.5, 1.5, 1.5]);
    expect(predicted).toEqual([0, 4.5]);
    // Again from its checkpoint: nothing is left to train, and the model is the stored one.
    const again = await trainFederated(run, standIn(predicted));
    expect(again.model.digest).toBe(model.digest);
    expect(predicted).toEqual([0, 4.5, 4.5]);
  });

  test('adds nothing for trustees, wherever they stand among the groups', async () => {
    const committee = '{ members: [alice, g1-and-a-half, zoe], threshold: 2, trustees: true }';
    const run = runOf(EQUALLY, `protection={ name: seal, clipValue: 4, committee: ${committee} }`);
    const { model, progress } = await trainFederated(run, standIn());
    expect(model.parameters[0]).toBeCloseTo(4.5, 2);
    expect(model.parameters[1]).toBeCloseTo(3, 2);
    expect(progress.losses).toEqual([1.5, 1.5, 1.5]);
  });

  test.each([
    ['mixes groups up', (groups: readonly number[]) => groups.toReversed()],
    ['leaves a group out', (groups: readonly number[]) => groups.slice(0, -1)],
  ])('takes the results of no learner that %s', async (_, changed) => {
    const learner = standIn();
    const wrong: Learner = {
      ...learner,
      train: (asked, consume) => learner.train({ ...asked, groups: changed(asked.groups) }, consume),
    };
    await expect(trainFederated(runOf('protection=none'), wrong)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  });
});
