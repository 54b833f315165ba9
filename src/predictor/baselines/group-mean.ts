import { defineBaseline } from './baseline.ts';
import { answerPool, optionCount, weightedMean } from './pool.ts';

/** Mean of the training groups' distributions on the same question, each group counting once; else uniform. */
export const groupMeanBaseline = defineBaseline({
  name: 'group-mean',
  label: 'Mean of the training groups',
  sees: "the sum of the training groups' answers on each question",
  create(survey, trainingGroups, excludedQuestions) {
    const pool = answerPool(survey, trainingGroups, excludedQuestions);
    return async ({ group, targets }) =>
      targets.map((question) => weightedMean(pool(question, group), () => 1, optionCount(survey, question)));
  },
});
