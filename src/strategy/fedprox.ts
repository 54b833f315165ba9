import { z } from 'zod';
import { fedavg } from './fedavg.ts';
import { defineStrategy } from './strategy.ts';
import { weightingOption } from './weighting.ts';

const options = z.strictObject({
  /** mu: how strongly local training is held to the received model. */
  proximal: z.number().positive().default(0.01),
  weighting: weightingOption,
});

/**
 * FedProx (Li et al., MLSys 2020, algorithm 2): federated averaging of groups whose loss has the term (mu / 2) |theta - received|^2. The term's
 * gradient goes through the local Adam like the rest, so mu works against other gradients, not by itself.
 */
export const fedprox = defineStrategy({
  name: 'fedprox',
  describe: 'weighted mean of the updates, with local training held to the received model',
  needs: 'sum',
  options,
  create: ({ proximal, weighting }) => {
    const { weightOf, initialState, next } = fedavg.create({ weighting });
    return { weightOf, initialState, next, local: { proximal } };
  },
});
