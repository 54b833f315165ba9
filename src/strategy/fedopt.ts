import { z } from 'zod';
import { meanUpdate } from './mean-update.ts';
import { momentFrom, stateOf } from './moments.ts';
import { movedModel } from './moved-model.ts';
import { defineStrategy, type Strategy } from './strategy.ts';
import { baseWeight, weightingOption } from './weighting.ts';

const ADAPTIVE = ['adam', 'yogi'] as const;
type Adaptive = (typeof ADAPTIVE)[number];

/** Adam's and Yogi's default is about what a group's own steps move a parameter in a round. */
const DEFAULT_RATES = { adam: 1e-3, yogi: 1e-3, momentum: 1 };

const decay = z.number().min(0).lt(1);

const options = z
  .strictObject({
    optimizer: z.enum([...ADAPTIVE, 'momentum']).default('adam'),
    /** Server learning rate; null: 0.001 for adam and yogi, 1 for momentum. */
    learningRate: z.number().positive().nullable().default(null),
    beta1: decay.default(0.9),
    /** Decay of the second moment; null: 0.99, momentum has none. */
    beta2: decay.nullable().default(null),
    /** What is added to the root of the second moment: a larger one adapts less; null: 0.001, momentum has none. */
    tau: z.number().positive().nullable().default(null),
    weighting: weightingOption,
  })
  .refine(({ optimizer, beta2, tau }) => optimizer !== 'momentum' || (beta2 === null && tau === null), {
    path: ['optimizer'],
    error: 'momentum has neither beta2 nor tau: leave them out, or choose adam or yogi',
  });

type Next = Strategy['next'];

/** FedAvgM (Hsu et al. 2019, section 4.3): m = beta1 m + d, theta = theta + eta m. */
function withMomentum(learningRate: number, beta1: number): Next {
  return (model, aggregate, state) => {
    const mean = meanUpdate(aggregate, model.parameters.length);
    const first = momentFrom(state, 'first', mean.length, 0);
    for (let i = 0; i < mean.length; i++) first[i] = beta1 * first[i]! + mean[i]!;
    const step = Float64Array.from(first, (value) => learningRate * value);
    return { model: movedModel(model, aggregate.round, step), state: stateOf({ first }) };
  };
}

/** The second moment v after a mean update d, in each parameter (algorithm 2 of Reddi et al.). */
const SECOND_AFTER: { readonly [Name in Adaptive]: (v: number, d: number, beta2: number) => number } = {
  // beta2 v + (1 - beta2) d^2
  adam: (v, d, beta2) => beta2 * v + (1 - beta2) * (d * d),
  // v - (1 - beta2) d^2 sign(v - d^2)
  yogi: (v, d, beta2) => v - (1 - beta2) * (d * d) * Math.sign(v - d * d),
};

/**
 * FedAdam and FedYogi: m = beta1 m + (1 - beta1) d, theta = theta + eta m / (sqrt(v) + tau). As there, v begins at tau^2 and no moment is
 * corrected for its start.
 */
function withSecondMoment(
  optimizer: Adaptive,
  settings: {
    readonly learningRate: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly tau: number;
  },
): Next {
  const { learningRate, beta1, beta2, tau } = settings;
  const secondAfter = SECOND_AFTER[optimizer];
  return (model, aggregate, state) => {
    const mean = meanUpdate(aggregate, model.parameters.length);
    const first = momentFrom(state, 'first', mean.length, 0);
    const second = momentFrom(state, 'second', mean.length, tau * tau);
    const step = new Float64Array(mean.length);
    for (let i = 0; i < mean.length; i++) {
      const d = mean[i]!;
      first[i] = beta1 * first[i]! + (1 - beta1) * d;
      second[i] = secondAfter(second[i]!, d, beta2);
      // From the moments as they are kept, so that a run goes on from a stored state to the same bits.
      step[i] = (learningRate * first[i]!) / (Math.sqrt(second[i]!) + tau);
    }
    return { model: movedModel(model, aggregate.round, step), state: stateOf({ first, second }) };
  };
}

/**
 * Adaptive federated optimisation (Reddi et al., ICLR 2021, algorithm 2), and with `momentum` FedAvgM (Hsu et al., arXiv 1909.06335): the mean
 * update d of a round is the server optimiser's gradient, with the sign turned. Moments are float32.
 */
export const fedopt = defineStrategy({
  name: 'fedopt',
  describe: 'a server optimiser (Adam, Yogi or momentum) on the weighted mean of the updates',
  needs: 'sum',
  momentum: true,
  options,
  create: ({ optimizer, weighting, beta1, beta2, tau, learningRate: given }) => {
    const learningRate = given ?? DEFAULT_RATES[optimizer];
    return {
      weightOf: (group) => baseWeight(weighting, group),
      initialState: () => null,
      next:
        optimizer === 'momentum'
          ? withMomentum(learningRate, beta1)
          : withSecondMoment(optimizer, { learningRate, beta1, beta2: beta2 ?? 0.99, tau: tau ?? 1e-3 }),
    };
  },
});
