import { z } from 'zod';
import { fedavg } from './fedavg.ts';
import { lossOf } from './group-loss.ts';
import { defineStrategy } from './strategy.ts';
import { baseWeight, weightingOption } from './weighting.ts';

const options = z.strictObject({
  /** Exponent of a group's loss: near 0 all count as in fedavg, the larger the more the worst count. */
  q: z.number().positive().max(5).default(1),
  weighting: weightingOption,
});

/**
 * The reweighting of q-FFL (Li et al., "Fair resource allocation in federated learning", ICLR 2020, section 3.2): a group with the loss F of the
 * received model weighs F^q times as much, and the mean is over these weights. The step size of q-FedAvg, an estimate by a Lipschitz constant
 * of the gradient, is not used: local steps are Adam's, whose size does not follow the gradient's. F is 1 - alignment score.
 */
export const qfedavg = defineStrategy({
  name: 'qfedavg',
  describe: 'weighted mean of the updates, in which groups that the model predicts badly count more',
  needs: 'sum',
  scores: true,
  options,
  create: ({ q, weighting }) => {
    const { initialState, next } = fedavg.create({ weighting });
    return {
      weightOf: (group) => baseWeight(weighting, group) * lossOf(group) ** q,
      initialState,
      next,
    };
  },
});
