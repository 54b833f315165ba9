import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { openPlan } from '../../src/server/plan.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';

const SMALL = ['predictor.width=4', 'predictor.layers=1', 'predictor.heads=1', 'predictor.feedforward=4'];
const planWith = async (...overrides: string[]) =>
  planOf(await prepareExperiment(loadConfig('configs/gpo.yaml', [...SMALL, ...overrides]), () => undefined));

describe('the plan of a deployed run', () => {
  test('has the questions and nobody’s answers, folders or workers', async () => {
    const plan = await planWith('output=somewhere', 'runtime.workers=7', 'data.heldOutQuestions=0.2');
    expect(plan.survey.questions).toHaveLength(57);
    expect(plan.survey.heldOutQuestions).toHaveLength(11);
    expect(JSON.stringify(plan)).not.toMatch(/somewhere|distribution|workers/);
    expect(plan.config['data']).toMatchObject({ survey: 'nonvoters' });
  });

  test('waits for all training groups of the configuration unless it says otherwise', async () => {
    expect(await planWith()).toMatchObject({ quorum: 14, deadlineMs: 86_400_000 });
    expect(await planWith('round.quorum=3', 'round.deadlineSeconds=1.5')).toMatchObject({
      quorum: 3,
      deadlineMs: 1500,
    });
    expect(
      await planWith('data.groups.training=[democrat-white-65+,democrat-black-65+]', 'protection.name=none'),
    ).toMatchObject({
      quorum: 2,
    });
  });

  test('is one that the aggregator can open', async () => {
    const plan = await planWith();
    const { config, predictor, strategy } = openPlan(plan);
    expect(predictor.layout.size).toBe(plan.parameters);
    expect(strategy.name).toBe('fedavg');
    expect(config.training.rounds).toBe(40);
    expect(() => openPlan({ ...plan, parameters: plan.parameters + 1 })).toThrow(
      expect.objectContaining({ code: 'CONFIG_CONFLICT' }),
    );
  });

  test('of a sharded run has front and head alone as its parameters, and nobody in it who has no answers', async () => {
    const planOfSharded = async (...changes: readonly string[]) => {
      const small = ['predictor.width=4', 'predictor.heads=1', ...changes];
      return planOf(await prepareExperiment(loadConfig('configs/sharded.yaml', small), () => undefined));
    };
    const plan = await planOfSharded();
    const { predictor, layout } = openPlan(plan);
    expect(layout.size).toBe(plan.parameters);
    expect(layout.entries.some(({ name }) => name.startsWith('stage'))).toBe(false);
    expect(predictor.layout.entries.some(({ name }) => name.startsWith('stage'))).toBe(true);
    const committee = '{ members: [ink, press], threshold: 2, trustees: true }';
    const trusted = await planOfSharded(`protection={ name: seal, committee: ${committee} }`);
    expect(() => openPlan(trusted)).toThrow(expect.objectContaining({ code: 'CONFIG_CONFLICT' }));
  });
});
