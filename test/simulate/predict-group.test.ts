import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { contextFromFile, contextFromSurvey, predictGroup } from '../../src/simulate/predict-group.ts';
import { runExperiment } from '../../src/simulate/run.ts';
import { openTrainedRun, type TrainedRun } from '../../src/simulate/trained-run.ts';
import { ROOT, SMALL, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const silent = () => {};
let run: TrainedRun;

beforeAll(async () => {
  const overrides = [...SMALL, 'training.rounds=2', 'compare=[]', 'runtime.workers=1'];
  const config = loadConfig(join(ROOT, 'configs/gpo.yaml'), overrides);
  const place = { folder: join(folder, 'run'), resume: false };
  await runExperiment(config, { ...place, emit: silent });
  run = await openTrainedRun(place.folder, [], silent);
});

/** A group's answers to the first questions as long-format CSV; `order` arranges the rows of a question. */
function answersFile(
  name: string,
  order: (rows: string[]) => string[],
  label?: (option: string) => string,
): string {
  const { survey } = run.experiment;
  const rows = survey.answers[0]!.slice(0, 8).flatMap(({ question, distribution }) => {
    const { id, options } = survey.questions[question]!;
    const lines = options.map((option, index) => {
      const cells = [id, 'as asked', label?.(option) ?? option, 'us', distribution[index]];
      return cells.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(',');
    });
    return order(lines);
  });
  const path = join(folder, name);
  writeFileSync(path, `question_id,question,option,group,weight\n${rows.join('\n')}\n`);
  return path;
}

describe('the answers of a group of your own', () => {
  it('are matched by the text of the options, whatever the order of the rows', async () => {
    const forward = await contextFromFile(
      run,
      answersFile('forward.csv', (rows) => rows),
      undefined,
      [],
    );
    const backward = await contextFromFile(
      run,
      answersFile('backward.csv', (rows) => rows.reverse()),
      undefined,
      [],
    );
    expect(backward.answers).toEqual(forward.answers);
    expect(await predictGroup(run, backward, [])).toEqual(await predictGroup(run, forward, []));
  });

  it('with an option that the question does not have are refused', async () => {
    const path = answersFile(
      'foreign.csv',
      (rows) => rows,
      (option) => `${option}!`,
    );
    await expect(contextFromFile(run, path, undefined, [])).rejects.toMatchObject({
      code: 'DATA_OPTION_COUNT',
    });
  });
});

describe('a question that is asked', () => {
  it('is never told, neither from a file nor from the survey', async () => {
    const { survey } = run.experiment;
    for (const { question } of survey.answers[0]!.slice(0, 8)) {
      const asked = survey.questions[question]!.id;
      const fromFile = await contextFromFile(
        run,
        answersFile('asked.csv', (rows) => rows),
        undefined,
        [asked],
      );
      const fromSurvey = contextFromSurvey(run, survey.groups[0]!.id, [asked]);
      for (const { answers } of [fromFile, fromSurvey]) {
        expect(answers.length).toBeGreaterThan(0);
        expect(answers.map((answer) => answer.question)).not.toContain(question);
      }
    }
  });

  it('twice is answered once', async () => {
    const context = contextFromSurvey(run, run.experiment.survey.groups[0]!.id, ['Q20']);
    const once = await predictGroup(run, context, ['Q20']);
    expect(await predictGroup(run, context, ['Q20', 'Q20'])).toEqual(once);
  });

  it('leaves nothing to tell when all are asked, which is refused', async () => {
    const { survey } = run.experiment;
    const all = survey.questions.map(({ id }) => id);
    const context = contextFromSurvey(run, survey.groups[0]!.id, all);
    await expect(predictGroup(run, context, all)).rejects.toMatchObject({ code: 'DATA_CONTEXT_TOO_LARGE' });
  });

  it('is needed where a group told everything', async () => {
    const { survey } = run.experiment;
    const everything = { group: survey.groups[0]!, answers: survey.answers[0]! };
    await expect(predictGroup(run, everything, [])).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('gets shares that sum to 1, one per option', async () => {
    const context = contextFromSurvey(run, run.experiment.survey.groups[0]!.id, ['Q20']);
    const [answer] = await predictGroup(run, context, ['Q20']);
    expect(answer?.question.id).toBe('Q20');
    expect(answer?.probabilities).toHaveLength(answer!.question.options.length);
    expect(answer?.probabilities.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
  });
});

describe('a run that is opened again', () => {
  it('refuses to call a group unseen that trained', async () => {
    const trained = run.experiment.trainingGroups.map((group) => run.experiment.survey.groups[group]!.id);
    const swapped = `data.groups={training: 3, unseen: [${trained[0]}]}`;
    await expect(openTrainedRun(run.folder, [swapped], silent)).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
    });
  });

  it('refuses to call a question held out that was trained on', async () => {
    const override = 'data.heldOutQuestions=0.2';
    await expect(openTrainedRun(run.folder, [override], silent)).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
    });
  });

  it('takes another seed for the contexts where the split stays', async () => {
    const again = await openTrainedRun(run.folder, ['seed=5', 'data.splitSeed=0'], silent);
    expect(again.experiment.trainingGroups).toEqual(run.experiment.trainingGroups);
    expect(again.model.digest).toBe(run.model.digest);
  });
});
