import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import type { Survey } from '../../src/data/survey.ts';
import type { Baseline } from '../../src/predictor/baselines/baseline.ts';
import { groupMeanBaseline } from '../../src/predictor/baselines/group-mean.ts';
import { similarityMeanBaseline } from '../../src/predictor/baselines/similarity-mean.ts';
import { BASELINES } from '../../src/predictor/baselines/table.ts';
import { uniformBaseline } from '../../src/predictor/baselines/uniform.ts';
import { baselineConformance } from '../conformance/baseline.ts';
import { tinySurvey } from '../support/tiny-survey.ts';

for (const baseline of BASELINES) baselineConformance(baseline);

test('the table has the names that the report knows', () => {
  expect(BASELINES.map(({ name }) => name)).toEqual(['uniform', 'group-mean', 'similarity-mean']);
});

/** Yes/no questions; per group the share of "yes" for each question, or null. */
function yesNo(shares: readonly (readonly (number | null)[])[]): Survey {
  const questions = shares[0]!.map((_, q) => ({ id: `q${q}`, text: '', options: ['Yes', 'No'] }));
  const groups = shares.map((_, g) => ({ id: `g${g}`, label: '' }));
  const answers = shares.map((own) =>
    own.flatMap((yes, question) =>
      yes === null ? [] : [{ question, distribution: Float64Array.of(yes, 1 - yes) }],
    ),
  );
  return asStage({ name: 'yes-no', questions, groups, answers, provenance: tinySurvey().provenance });
}

/** The predicted share of "yes" on one target. */
async function yesOf(
  baseline: Baseline,
  survey: Survey,
  training: number[],
  group: number,
  context: number[],
  target: number,
) {
  const [shares] = await baseline.create(survey, training, [])({ group, context, targets: [target] });
  return shares![0]!;
}

// Groups 0 and 1 train, group 2 asks. On question 0 the asking group answers as group 0 does.
const SURVEY = yesNo([
  [0.9, 0.8, null, 0.7],
  [0.1, 0.2, null, null],
  [0.9, 0.5, 0.5, 0.5],
]);

describe('group mean', () => {
  test('is the mean of the training groups that answered', async () => {
    expect(await yesOf(groupMeanBaseline, SURVEY, [0, 1], 2, [0], 1)).toBeCloseTo(0.5, 12);
    expect(await yesOf(groupMeanBaseline, SURVEY, [0, 1], 2, [0], 3)).toBeCloseTo(0.7, 12);
  });

  test('leaves the asked group out', async () => {
    expect(await yesOf(groupMeanBaseline, SURVEY, [0, 1], 0, [0], 1)).toBeCloseTo(0.2, 12);
  });

  test('is uniform where no training group answered', async () => {
    expect(await yesOf(groupMeanBaseline, SURVEY, [0, 1], 2, [0], 2)).toBe(0.5);
  });
});

describe('similarity mean', () => {
  test('prefers the group that answers the context alike', async () => {
    const yes = await yesOf(similarityMeanBaseline, SURVEY, [0, 1], 2, [0], 1);
    expect(yes).toBeGreaterThan(0.79);
    expect(yes).toBeLessThanOrEqual(0.8);
  });

  test('equals the group mean without context, and where no training group shares it', async () => {
    expect(await yesOf(similarityMeanBaseline, SURVEY, [0, 1], 2, [], 1)).toBeCloseTo(0.5, 12);
    expect(await yesOf(similarityMeanBaseline, SURVEY, [0, 1], 2, [2], 1)).toBeCloseTo(0.5, 12);
  });

  test('a group that shares no context question counts as the others do on average', async () => {
    const survey = yesNo([
      [0.6, 1],
      [0.6, 0],
      [null, 0],
      [0.8, 0.5],
    ]);
    expect(await yesOf(similarityMeanBaseline, survey, [0, 1, 2], 3, [0], 1)).toBeCloseTo(1 / 3, 12);
  });

  test('groups as far apart as can be still give a distribution', async () => {
    const survey = yesNo([
      [0, 1],
      [0, 0],
      [1, 0.5],
    ]);
    expect(await yesOf(similarityMeanBaseline, survey, [0, 1], 2, [0], 1)).toBeCloseTo(0.5, 12);
  });
});

test('uniform gives equal shares', async () => {
  expect(await yesOf(uniformBaseline, SURVEY, [0, 1], 2, [0], 1)).toBe(0.5);
});
