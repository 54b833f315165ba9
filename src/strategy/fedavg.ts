import { z } from 'zod';
import { invariant, PluralError } from '../core/errors.ts';
import { makeModel } from '../wire/model.ts';
import type { Aggregate, Model } from '../wire/stages.ts';
import { defineStrategy } from './strategy.ts';

const options = z.strictObject({
  /** Weight by the number of questions a group may train on (McMahan et al.), or count each group once. */
  weighting: z.enum(['questions', 'equal']).default('questions'),
});

/** theta + sum(w delta) / sum(w); NOT_FINITE names the first parameter that is none. */
function average(model: Model, { round, weightedSum, totalWeight }: Aggregate): Model {
  const parameters = new Float32Array(model.parameters.length);
  invariant(weightedSum.length === parameters.length, 'the sum has as many numbers as the model');
  for (let i = 0; i < parameters.length; i++) {
    const value = Math.fround(model.parameters[i]! + weightedSum[i]! / totalWeight);
    if (!Number.isFinite(value)) {
      throw new PluralError('NOT_FINITE', `parameter ${i} is ${value} after round ${round}`, {
        hint: 'Training diverged: lower training.learningRate.',
      });
    }
    parameters[i] = value;
  }
  return makeModel(round, parameters);
}

/** Federated averaging (McMahan et al., AISTATS 2017; PluralLLM, algorithm 1). */
export const fedavg = defineStrategy({
  name: 'fedavg',
  describe: 'weighted mean of the updates',
  needs: 'sum',
  options,
  create: ({ weighting }) => ({
    weightOf: ({ questions }) => (weighting === 'questions' ? questions : 1),
    initialState: () => null,
    next: (model, aggregate, state) => ({ model: average(model, aggregate), state }),
  }),
});
