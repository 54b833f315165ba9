import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GroupHome } from '../../src/client/home.ts';
import type { LocalOptions } from '../../src/client/local-setup.ts';
import { type LocalWork, openLocalWork } from '../../src/client/local-training.ts';
import { loadConfig } from '../../src/config/load.ts';
import { asStage } from '../../src/core/brand.ts';
import { canonicalJson } from '../../src/core/digest.ts';
import type { Survey } from '../../src/data/survey.ts';
import { writeFeatures } from '../../src/features/vector-file.ts';
import { evaluateModel, type RunContext } from '../../src/simulate/context.ts';
import { pluginsOf, prepareExperiment, setupOf } from '../../src/simulate/experiment.ts';
import { trainFederated } from '../../src/simulate/federated.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { initialModel } from '../../src/training/initial-model.ts';
import { startPool } from '../../src/training/pool.ts';
import { makeModel } from '../../src/wire/model.ts';
import type { RunDefinition, RunPlan } from '../../src/wire/run-definition.ts';
import type { Model } from '../../src/wire/stages.ts';
import { ROOT, SMALL, temporaryFolder } from '../support/cli.ts';
import { inClear } from '../support/in-clear.ts';
import { contextOf, playRound, updateOf } from '../support/protected-round.ts';

const folder = temporaryFolder();
const ROUNDS = 2;
const FEW = ['data.groups.training=5', 'data.groups.unseen=2', 'data.heldOutQuestions=0.2'];
let run: RunContext;
let plan: RunPlan;
const opened: LocalWork[] = [];
let homes = 0;

beforeAll(async () => {
  const overrides = [...SMALL, ...FEW, `training.rounds=${ROUNDS}`, 'compare=[]', 'runtime.workers=1'];
  const config = loadConfig(join(ROOT, 'configs/gpo.yaml'), overrides);
  const experiment = await prepareExperiment(config, () => undefined);
  const pool = startPool(setupOf(experiment), 1);
  run = { experiment, pool, folder: join(folder, 'run'), fingerprint: 'simulated', emit: () => undefined };
  plan = planOf(experiment);
});

afterAll(async () => {
  await Promise.all(opened.map((work) => work.close()));
  await run.pool.close();
});

function defined(change: Partial<RunPlan> = {}): RunDefinition {
  return { format: 1, run: 'deployed', nonce: '0'.repeat(32), plan: { ...plan, ...change } };
}

/** A group's answers as they come out of its own folder. */
function answersOf(group: string): Survey {
  const home = new GroupHome(join(folder, `group-${homes++}`));
  home.create(run.experiment.survey, group);
  return home.answers();
}

async function workOf(group: string, change: Partial<LocalOptions> = {}): Promise<LocalWork> {
  const work = await openLocalWork({
    definition: defined(),
    group,
    answers: change.answers ?? answersOf(group),
    featuresPath: null,
    device: 'cpu',
    warn: () => undefined,
    ...change,
  });
  opened.push(work);
  return work;
}

const trainingGroups = () =>
  run.experiment.trainingGroups.map((index) => run.experiment.survey.groups[index]!.id);

describe("a group's own work", () => {
  test('all groups together end with the very bytes of the simulation', async () => {
    const { experiment } = run;
    const groups = trainingGroups();
    expect(experiment.heldOutQuestions.length).toBeGreaterThan(5);
    const works = new Map<string, LocalWork>();
    for (const group of groups) works.set(group, await workOf(group));
    const { protection, strategy } = pluginsOf(experiment);
    let model: Model = initialModel(experiment.predictor, experiment.config.seed);
    for (let round = 1; round <= ROUNDS; round++) {
      const sum = protection.collect(contextOf(model.parameters.length, { round }));
      for (const group of groups) {
        const work = works.get(group)!;
        expect(work.protection).toMatchObject({ name: 'none', updateStep: 0 });
        const { update } = await work.update({ round, attempt: 1 }, model, 0.25);
        expect(update).toMatchObject({ group, round, score: 0.25 });
        sum.add(0, inClear(update));
      }
      model = strategy.next(model, sum.finish(), null).model;
    }
    const simulated = await trainFederated(run);
    expect(model.digest).toBe(simulated.model.digest);
    // The score that a group gives is the one that the simulation gives it.
    const [group] = groups;
    const own = await works.get(group!)!.score(model);
    const { evaluation } = await evaluateModel(run, model.parameters);
    const seen = evaluation.scores.find((score) => score.group === group && score.split === 'training')!;
    expect(own).toEqual({ alignment: seen.alignment, questions: seen.questions });
  });

  test.each([
    ['qfedavg', { q: 2 }],
    ['fedprox', { proximal: 3 }],
  ])('with strategy %s too, whatever it asks of the groups', async (name, options) => {
    const config = { ...run.experiment.config, strategy: { name, weighting: 'questions', ...options } };
    const experiment = { ...run.experiment, config: asStage(config) };
    const { strategy, protection } = pluginsOf(experiment);
    let model = initialModel(experiment.predictor, experiment.config.seed);
    let state = strategy.initialState();
    const definition = defined({ config: planOf(experiment).config });
    const works = await Promise.all(trainingGroups().map((group) => workOf(group, { definition })));
    for (let round = 1; round <= ROUNDS; round++) {
      const sum = protection.collect(contextOf(model.parameters.length, { round }));
      for (const work of works)
        sum.add(0, inClear((await work.update({ round, attempt: 1 }, model, null)).update));
      ({ model, state } = strategy.next(model, sum.finish(), state));
    }
    await Promise.all(works.map((work) => work.close()));
    const simulated = await trainFederated({ ...run, experiment, folder: join(folder, name) });
    expect(model.digest).toBe(simulated.model.digest);
  });

  test('the same round and model give the same bytes, from another process and from another file', async () => {
    const [group] = trainingGroups();
    const model = initialModel(run.experiment.predictor, 7);
    const first = await (await workOf(group!)).update({ round: 2, attempt: 1 }, model, null);
    const second = await (await workOf(group!)).update({ round: 2, attempt: 1 }, model, null);
    const [bytes, again] = [first, second].map(({ update }) => inClear(update).payload);
    expect(Buffer.from(again!).equals(bytes!)).toBe(true);
    expect(second).toEqual(first);
  });

  test('has the protection of the run, with room for the weight that the group may have', async () => {
    const protection = { name: 'mask', bits: 16, mostGroups: 8 };
    const masked = { ...plan, config: { ...plan.config, protection } };
    const work = await workOf(trainingGroups()[0]!, { definition: defined(masked) });
    expect(work.protection).toMatchObject({ name: 'mask', reveals: 'sum', groups: { least: 3, most: 8 } });
    const { update } = await work.update(
      { round: 1, attempt: 1 },
      initialModel(run.experiment.predictor, 7),
      0.5,
    );
    const nothing = new Float32Array(update.delta.length);
    const others = ['x', 'y'].map((other) => updateOf(other, 1, nothing, { round: 1 }));
    const { totalWeight, scores } = playRound({
      protection: work.protection,
      updates: [update, ...others],
      context: contextOf(update.delta.length, { round: 1 }),
    });
    expect(totalWeight).toBe(update.weight + 2);
    expect(scores?.groups).toBe(1);
  });

  test('under another name draws other tasks', async () => {
    const [group] = trainingGroups();
    const model = initialModel(run.experiment.predictor, 7);
    const own = await (await workOf(group!)).update({ round: 1, attempt: 1 }, model, null);
    const renamed = await (await workOf('another name', { answers: answersOf(group!) })).update(
      { round: 1, attempt: 1 },
      model,
      null,
    );
    expect(renamed.loss).not.toBe(own.loss);
  });

  test('exports the model with what it was trained as', async () => {
    const work = await workOf(trainingGroups()[0]!);
    const model = initialModel(run.experiment.predictor, 7);
    const text = Buffer.from(work.exportModel(model)!).toString('latin1');
    expect(text).toContain(canonicalJson({ round: 0, digest: model.digest }));
  });

  test('of a model that cannot be scored is none where the score is its weight: the round goes on without the group', async () => {
    const broken = makeModel(1, initialModel(run.experiment.predictor, 7).parameters.fill(Number.NaN));
    const [group] = trainingGroups();
    const withScores = { ...plan.config, strategy: { name: 'qfedavg', weighting: 'questions', q: 1 } };
    const work = await workOf(group!, { definition: defined({ config: withScores }) });
    await expect(work.update({ round: 2, attempt: 1 }, broken, null)).rejects.toMatchObject({
      code: 'ROUND_REFUSED',
      message: expect.stringMatching(/no further part in round 2: its weight follows from a score/),
    });
    // A model of a later round that can be scored: the work is as it was.
    const { update } = await work.update(
      { round: 3, attempt: 1 },
      initialModel(run.experiment.predictor, 7),
      null,
    );
    expect(update.weight).toBeGreaterThan(0);
    // Without scores training meets it, and diverges.
    await expect((await workOf(group!)).update({ round: 2, attempt: 1 }, broken, null)).rejects.toMatchObject(
      {
        code: 'NOT_FINITE',
      },
    );
  });

  test('that is closed is given up', async () => {
    const work = await workOf(trainingGroups()[0]!);
    await work.close();
    const model = initialModel(run.experiment.predictor, 7);
    await expect(work.score(model)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('a group with few answers', () => {
  /** The group with its first answers alone. */
  function withAnswers(count: number): Survey {
    const held = new Set(plan.survey.heldOutQuestions);
    const whole = answersOf(trainingGroups()[0]!);
    const kept = whole.answers[0]!.filter(({ question }) => !held.has(whole.questions[question]!.id));
    return { ...whole, answers: [kept.slice(0, count)] };
  }

  test('tells fewer in its score, so that one is left to predict', async () => {
    const work = await workOf('small', { answers: withAnswers(3) });
    const { questions } = (await work.score(initialModel(run.experiment.predictor, 7)))!;
    expect(questions).toBeGreaterThan(0);
    expect(questions).toBeLessThanOrEqual(3);
  });

  test('too few is told', async () => {
    const opening = workOf('small', { answers: withAnswers(1) });
    await expect(opening).rejects.toMatchObject({ code: 'DATA_CONTEXT_TOO_LARGE' });
  });
});

describe('what does not fit the definition is refused', () => {
  test.each<[string, () => Partial<RunPlan>]>([
    ['features of another digest', () => ({ features: { ...plan.features, digest: '0'.repeat(64) } })],
    ['features of another width', () => ({ features: { ...plan.features, width: 5 } })],
    ['another number of parameters', () => ({ parameters: plan.parameters + 1 })],
  ])('%s', async (_, change) => {
    const opening = workOf(trainingGroups()[0]!, { definition: defined(change()) });
    await expect(opening).rejects.toMatchObject({ code: 'MODEL_MISMATCH' });
  });

  test('a question that the run does not have', async () => {
    const [first, ...rest] = plan.survey.questions;
    const change = { survey: { ...plan.survey, questions: [{ ...first!, id: 'renamed' }, ...rest] } };
    const opening = workOf(trainingGroups()[0]!, { definition: defined(change) });
    await expect(opening).rejects.toMatchObject({ code: 'DATA_FORMAT' });
  });

  test('a device that is not there', async () => {
    const opening = workOf(trainingGroups()[0]!, { device: 'coreml' });
    await expect(opening).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
  });
});

describe('features from a file', () => {
  /** The same run with its features in a file. */
  async function arrowDefinition(path: string): Promise<RunDefinition> {
    const { experiment } = run;
    writeFeatures(path, experiment.survey.questions, experiment.features);
    const { features: _, ...config } = plan.config;
    const overrides = [...SMALL, 'training.rounds=2', ...FEW, 'compare=[]', 'features.name=arrow'];
    const arrow = loadConfig(join(ROOT, 'configs/gpo.yaml'), [...overrides, `features.path=${path}`]);
    const { features } = await prepareExperiment(arrow, () => undefined);
    const chosen = { name: 'arrow', path: 'on/somebody/elses/machine' };
    const { provider, width, digest } = features;
    return defined({
      config: { ...config, features: chosen },
      features: { provider, width, digest },
    });
  }

  test('are asked for, and a path in the definition is not followed', async () => {
    const path = join(folder, 'vectors.arrow');
    const definition = await arrowDefinition(path);
    const [group] = trainingGroups();
    await expect(workOf(group!, { definition })).rejects.toMatchObject({ code: 'FEATURES_MISSING' });
    const work = await workOf(group!, { definition, featuresPath: path });
    const model = initialModel(run.experiment.predictor, 7);
    const lexical = await (await workOf(group!)).update({ round: 1, attempt: 1 }, model, null);
    // The same vectors train the same.
    expect((await work.update({ round: 1, attempt: 1 }, model, null)).loss).toBe(lexical.loss);
  });

  test('that are others are refused', async () => {
    const path = join(folder, 'vectors.arrow');
    const definition = await arrowDefinition(path);
    const other = join(folder, 'other.arrow');
    const { survey, features } = run.experiment;
    writeFeatures(other, survey.questions, { ...features, rows: features.rows.map((value) => value + 1) });
    const opening = workOf(trainingGroups()[0]!, { definition, featuresPath: other });
    await expect(opening).rejects.toMatchObject({ code: 'MODEL_MISMATCH' });
  });
});
