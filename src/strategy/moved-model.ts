import { PluralError } from '../core/errors.ts';
import { makeModel } from '../wire/model.ts';
import type { Model } from '../wire/stages.ts';

/** The model of a round: the one before it plus a step, float64 [parameters]. NOT_FINITE names the first parameter that is none. */
export function movedModel(model: Model, round: number, step: Float64Array): Model {
  const parameters = new Float32Array(model.parameters.length);
  for (let i = 0; i < parameters.length; i++) {
    const value = Math.fround(model.parameters[i]! + step[i]!);
    if (!Number.isFinite(value)) {
      throw new PluralError('NOT_FINITE', `parameter ${i} is ${value} after round ${round}`, {
        hint: 'Training diverged: lower training.learningRate, or strategy.learningRate where there is one.',
      });
    }
    parameters[i] = value;
  }
  return makeModel(round, parameters);
}
