import { describe, expect, test } from 'vitest';
import { checkShares } from '../../src/core/divergence.ts';
import type { Survey } from '../../src/data/survey.ts';
import type { Baseline } from '../../src/predictor/baselines/baseline.ts';
import type { PredictionRequest } from '../../src/predictor/prediction.ts';
import { tinySurvey, withAnswers } from '../support/tiny-survey.ts';

const TRAINING = [0, 1, 2, 3];
const EXCLUDED = [10, 11];
const SURVEY = tinySurvey({ questions: 12, groups: 6, missing: 0.3, seed: 8 });

/** All requests of the suite: training groups, unseen groups, no context, unanswered and held-out targets. */
const REQUESTS: readonly PredictionRequest[] = SURVEY.groups.flatMap((_, group) =>
  [[], [0, 3, 6], [1, 2, 4, 5, 7, 8]].map((context) => ({
    group,
    context,
    targets: SURVEY.questions
      .map((_, question) => question)
      .filter((question) => !context.includes(question)),
  })),
);

async function predictAll(baseline: Baseline, survey: Survey) {
  const predict = baseline.create(survey, TRAINING, EXCLUDED);
  return Promise.all(REQUESTS.map(predict));
}

function flipped(distribution: Float64Array): Float64Array {
  const sharp = distribution.map((share, option) => (option === 0 ? 1 : share));
  const sum = sharp.reduce((total, share) => total + share, 0);
  return sharp.map((share) => share / sum);
}

/** What every baseline promises. */
export function baselineConformance(baseline: Baseline): void {
  describe(`conformance of baseline "${baseline.name}"`, () => {
    test('one distribution of the right length per target', async () => {
      for (const [i, predictions] of (await predictAll(baseline, SURVEY)).entries()) {
        const { group, targets } = REQUESTS[i]!;
        expect(predictions).toHaveLength(targets.length);
        for (const [t, shares] of predictions.entries()) {
          expect(shares).toHaveLength(SURVEY.questions[targets[t]!]!.options.length);
          checkShares(shares, `group ${group}, question ${targets[t]}`);
        }
      }
    });

    test('the asked group may change every answer outside the context', async () => {
      const before = await predictAll(baseline, SURVEY);
      for (const [i, request] of REQUESTS.entries()) {
        const changed = withAnswers(SURVEY, request.group, (question, distribution) =>
          request.context.includes(question) ? undefined : flipped(distribution),
        );
        expect(changed.answers).not.toEqual(SURVEY.answers);
        expect(await baseline.create(changed, TRAINING, EXCLUDED)(request)).toEqual(before[i]);
      }
    });

    test('answers of groups that did not train, and answers on excluded questions, do not matter', async () => {
      const before = await predictAll(baseline, SURVEY);
      const unseenChanged = withAnswers(SURVEY, 5, (_, distribution) => flipped(distribution));
      const heldOutChanged = TRAINING.reduce(
        (survey, group) =>
          withAnswers(survey, group, (question, distribution) =>
            EXCLUDED.includes(question) ? flipped(distribution) : undefined,
          ),
        SURVEY,
      );
      for (const [i, request] of REQUESTS.entries()) {
        expect(await baseline.create(heldOutChanged, TRAINING, EXCLUDED)(request)).toEqual(before[i]);
        if (request.group === 5) continue;
        expect(await baseline.create(unseenChanged, TRAINING, EXCLUDED)(request)).toEqual(before[i]);
      }
    });
  });
}
