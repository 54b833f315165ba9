import { defineBaseline } from './baseline.ts';
import { optionCount, uniformShares } from './pool.ts';

/** Equal shares for every option: what one knows without any data. */
export const uniformBaseline = defineBaseline({
  name: 'uniform',
  label: 'Uniform',
  sees: 'nothing',
  create:
    (survey) =>
    async ({ targets }) =>
      targets.map((question) => uniformShares(optionCount(survey, question))),
});
