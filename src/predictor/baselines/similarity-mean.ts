import { jensenShannonDivergence } from '../../core/divergence.ts';
import { type AnswerLookup, answerLookup } from '../../data/answer-lookup.ts';
import type { Survey } from '../../data/survey.ts';
import type { PredictionRequest } from '../prediction.ts';
import { defineBaseline } from './baseline.ts';
import { type AnswerPool, answerPool, optionCount, weightedMean } from './pool.ts';

/**
 * How sharply near groups are preferred. Chosen among 10, 20, 30, 40 and 60 by predicting each training group from
 * the others on nonvoters and globalopinionqa together; 20 to 60 are within 0.013 of each other on both.
 */
const TEMPERATURE = 40;

/** Jensen-Shannon distances (nats) to each training group on those of the context questions that it answered too. */
function sharedDistances(
  { group, context }: PredictionRequest,
  pool: AnswerPool,
  lookup: AnswerLookup,
): ReadonlyMap<number, readonly number[]> {
  const distances = new Map<number, number[]>();
  for (const question of context) {
    const own = lookup(group, question);
    if (own === undefined) continue;
    for (const other of pool(question, group)) {
      const distance = Math.sqrt(jensenShannonDivergence(own, other.distribution));
      distances.set(other.group, [...(distances.get(other.group) ?? []), distance]);
    }
  }
  return distances;
}

/**
 * Weight of a training group: exp(temperature x mean alignment score on the shared context questions), up to a factor.
 * A group that shares none is as near as the others are on average: nothing speaks for it or against it.
 */
function weightsFrom(distances: ReadonlyMap<number, readonly number[]>): (group: number) => number {
  const means = new Map(
    [...distances].map(([group, own]) => [group, own.reduce((sum, d) => sum + d, 0) / own.length]),
  );
  const known = [...means.values()];
  const neutral = known.reduce((sum, d) => sum + d, 0) / Math.max(1, known.length);
  // Distances are at most sqrt(ln 2), so the smallest weight is exp(-33): no sum of weights can become zero.
  return (group) => Math.exp(-TEMPERATURE * (means.get(group) ?? neutral));
}

function similarityMean(
  survey: Survey,
  trainingGroups: readonly number[],
  excludedQuestions: readonly number[],
) {
  const pool = answerPool(survey, trainingGroups, excludedQuestions);
  const lookup = answerLookup(survey);
  return async (request: PredictionRequest) => {
    const weightOf = weightsFrom(sharedDistances(request, pool, lookup));
    return request.targets.map((question) =>
      weightedMean(pool(question, request.group), weightOf, optionCount(survey, question)),
    );
  };
}

/** Mean of the training groups' distributions, weighted by how alike they answered the context questions. */
export const similarityMeanBaseline = defineBaseline({
  name: 'similarity-mean',
  label: 'Similarity-weighted mean of the training groups',
  sees: "every training group's answers in clear",
  create: similarityMean,
});
