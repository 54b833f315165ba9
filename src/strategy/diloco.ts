import { z } from 'zod';
import { meanUpdate } from './mean-update.ts';
import { momentFrom, stateOf } from './moments.ts';
import { movedModel } from './moved-model.ts';
import { defineStrategy } from './strategy.ts';
import { baseWeight, weightingOption } from './weighting.ts';

const options = z.strictObject({
  /** Outer learning rate. */
  learningRate: z.number().positive().default(0.7),
  /** Outer Nesterov momentum. */
  momentum: z.number().min(0).lt(1).default(0.9),
  weighting: weightingOption,
});

/**
 * DiLoCo (Douillard et al., arXiv 2311.08105, algorithm 1): Nesterov momentum on the mean update d, as torch's SGD has it:
 * m = mu m + d, theta = theta + eta (d + mu m). The inner steps are `training.localSteps`. There a worker keeps its inner optimiser's moments
 * over rounds; here they start afresh every round, as a group that is asked keeps nothing of its training.
 */
export const diloco = defineStrategy({
  name: 'diloco',
  describe: 'Nesterov momentum on the weighted mean of the updates, for few rounds of many local steps',
  needs: 'sum',
  momentum: true,
  options,
  create: ({ learningRate, momentum, weighting }) => ({
    weightOf: (group) => baseWeight(weighting, group),
    initialState: () => null,
    next: (model, aggregate, state) => {
      const mean = meanUpdate(aggregate, model.parameters.length);
      const outer = momentFrom(state, 'outer', mean.length, 0);
      for (let i = 0; i < mean.length; i++) outer[i] = momentum * outer[i]! + mean[i]!;
      const step = mean.map((d, i) => learningRate * (d + momentum * outer[i]!));
      return { model: movedModel(model, aggregate.round, step), state: stateOf({ outer }) };
    },
  }),
});
