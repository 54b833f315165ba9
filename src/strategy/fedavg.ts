import { z } from 'zod';
import { meanUpdate } from './mean-update.ts';
import { movedModel } from './moved-model.ts';
import { defineStrategy } from './strategy.ts';
import { baseWeight, weightingOption } from './weighting.ts';

/** Federated averaging (McMahan et al., AISTATS 2017; PluralLLM, algorithm 1): theta + sum(w delta) / sum(w). */
export const fedavg = defineStrategy({
  name: 'fedavg',
  describe: 'weighted mean of the updates',
  needs: 'sum',
  options: z.strictObject({ weighting: weightingOption }),
  create: ({ weighting }) => ({
    weightOf: (group) => baseWeight(weighting, group),
    initialState: () => null,
    next: (model, aggregate, state) => {
      const mean = meanUpdate(aggregate, model.parameters.length);
      return { model: movedModel(model, aggregate.round, mean), state };
    },
  }),
});
