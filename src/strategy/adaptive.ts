import { z } from 'zod';
import { fedavg } from './fedavg.ts';
import { lossOf } from './group-loss.ts';
import { defineStrategy } from './strategy.ts';
import { baseWeight, weightingOption } from './weighting.ts';

const options = z.strictObject({
  /** How much the loss must differ for weights to differ by a factor of e. */
  temperature: z.number().min(0.1).default(0.25),
  weighting: weightingOption,
});

/**
 * Weights that follow each group's alignment from round to round, softmax-like: proportional to exp(F / T), with F = 1 - alignment score of the
 * received model. After the adaptive aggregation of Srewa et al. (arXiv 2512.08786), which weighs rewards in RLHF by groups' past alignment;
 * only its abstract and reviews of it were at hand, so the formula is this toolkit's own. Here the past is the received model itself: no
 * moving average of scores is kept, and the temperature is fixed, since no group is told how far the scores of all are spread.
 */
export const adaptive = defineStrategy({
  name: 'adaptive',
  describe: 'weighted mean of the updates, in which weights grow exponentially with a group’s loss',
  needs: 'sum',
  scores: true,
  options,
  create: ({ temperature, weighting }) => {
    const { initialState, next } = fedavg.create({ weighting });
    return {
      // At most the base weight: only ratios count, and the grid is made for the largest.
      weightOf: (group) => baseWeight(weighting, group) * Math.exp((lossOf(group) - 1) / temperature),
      initialState,
      next,
    };
  },
});
