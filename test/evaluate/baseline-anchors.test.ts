import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importSurvey } from '../../src/data/import.ts';
import { loadSurvey } from '../../src/data/shipped.ts';
import { splitGroups } from '../../src/data/split.ts';
import type { Survey } from '../../src/data/survey.ts';
import { evaluatePredictor } from '../../src/evaluate/evaluate.ts';
import type { Summary } from '../../src/evaluate/evaluation.ts';
import { computeFeatures } from '../../src/features/compute.ts';
import { featuresProvider } from '../../src/features/table.ts';
import { BASELINES } from '../../src/predictor/baselines/table.ts';

interface Setting {
  readonly survey: Survey;
  readonly training: readonly number[];
  readonly unseen: readonly number[];
  readonly contextQuestions: number;
}

/** Scores of the unseen groups by baseline. */
async function unseenSummaries({
  survey,
  training,
  unseen,
  contextQuestions,
}: Setting): Promise<Map<string, Summary>> {
  const summaries = new Map<string, Summary>();
  for (const baseline of BASELINES) {
    const { evaluation } = await evaluatePredictor({
      survey,
      groups: unseen.map((group) => ({ group, split: 'unseen' })),
      heldOutQuestions: [],
      contextQuestions,
      draws: 5,
      seed: 0,
      predict: baseline.create(survey, training, []),
    });
    summaries.set(baseline.name, evaluation.summaries.unseen!);
  }
  return summaries;
}

test('nonvoters: knowing more groups beats knowing nothing, knowing which are alike beats both', async () => {
  const survey = loadSurvey('nonvoters');
  const { training, unseen } = splitGroups(survey, { training: 14, unseen: 7, seed: 0 });
  const summaries = await unseenSummaries({ survey, training, unseen, contextQuestions: 10 });
  const [uniform, groupMean, similarityMean] = [...summaries.values()].map(({ mean }) => mean);
  expect(groupMean).toBeGreaterThan(uniform! + 0.1);
  expect(similarityMean).toBeGreaterThan(groupMean! + 0.02);
});

const DATA = process.env['PLURALLLM_DATA'];
const INDIA = 'India (Current national sample)';
const TRAINING = ['Nigeria', 'Egypt', INDIA, 'Germany', 'United States', 'Canada', 'Argentina', 'Australia'];
const UNSEEN = ['China', 'Japan', 'France', 'Spain', 'Brazil', 'New Zealand'];

describe.skipIf(!DATA)(`development data${DATA ? '' : ' (SKIPPED: set PLURALLLM_DATA)'}`, () => {
  const folder = join(DATA ?? '', 'globalopinionqa');

  // Measured before by another program in the paper's setting: mean over questions, mean over countries.
  const MEASURED = new Map([
    ['uniform', [0.667, 0.653]],
    ['group-mean', [0.836, 0.827]],
    ['similarity-mean', [0.851, 0.842]],
  ]);

  test("globalopinionqa: the baselines score in the paper's setting what was measured before", async () => {
    const path = join(folder, 'global_opinions.reconstructed.csv');
    const { survey } = await importSurvey({ format: 'globalopinionqa', path });
    const { training, unseen } = splitGroups(survey, { training: TRAINING, unseen: UNSEEN, seed: 0 });
    const summaries = await unseenSummaries({ survey, training, unseen, contextQuestions: 20 });
    for (const [name, [overQuestions, overCountries]] of MEASURED) {
      expect(Math.abs(summaries.get(name)!.meanOverQuestions - overQuestions!), name).toBeLessThan(0.002);
      expect(Math.abs(summaries.get(name)!.mean - overCountries!), name).toBeLessThan(0.002);
    }
  });

  test('precomputed vectors fit the imported globalopinionqa by id', async () => {
    const path = join(folder, 'global_opinions.reconstructed.csv');
    const { survey } = await importSurvey({ format: 'globalopinionqa', path });
    const features = await computeFeatures({
      provider: featuresProvider('arrow'),
      options: { path: join(folder, 'features-structure-lsa-144.arrow') },
      questions: survey.questions,
    });
    expect(features.rows).toHaveLength(features.width * features.offsets[survey.questions.length]!);
  });

  test('precomputed vectors fit the shipped nonvoters by position', async () => {
    const { questions } = loadSurvey('nonvoters');
    const path = join(DATA ?? '', 'nonvoters', 'features-118.arrow');
    const provider = featuresProvider('arrow');
    const features = await computeFeatures({ provider, options: { path, matchBy: 'position' }, questions });
    expect(features.width).toBe(118);
    // The shipped survey names its questions, the file numbers them.
    await expect(computeFeatures({ provider, options: { path }, questions })).rejects.toMatchObject({
      code: 'FEATURES_MISSING',
    });
  });
});
