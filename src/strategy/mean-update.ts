import { invariant, PluralError } from '../core/errors.ts';
import type { Aggregate } from '../wire/stages.ts';

/**
 * The weighted mean of a round's updates, sum(w delta) / sum(w), float64 [parameters]: all that a strategy sees of them. Errors: NOT_FINITE
 * for the first parameter whose mean no float32 holds, INTERNAL for a sum of another size.
 */
export function meanUpdate({ round, weightedSum, totalWeight }: Aggregate, parameters: number): Float64Array {
  invariant(weightedSum.length === parameters, 'the sum has as many numbers as the model');
  const mean = new Float64Array(parameters);
  for (let i = 0; i < parameters; i++) {
    const value = weightedSum[i]! / totalWeight;
    // Squares of what float32 holds are finite in float64: strategies need not look again.
    if (!Number.isFinite(Math.fround(value))) {
      throw new PluralError('NOT_FINITE', `the mean update of parameter ${i} is ${value} in round ${round}`, {
        hint: 'Training diverged: lower training.learningRate.',
      });
    }
    mean[i] = value;
  }
  return mean;
}
