import type { Question } from '../data/survey.ts';
import type { Predict } from '../predictor/prediction.ts';
import type { TrainingPool } from './pool.ts';

/** Predictions of a model through a pool. `parameters` must lie in shared memory or not change meanwhile. */
export function predictWith(
  pool: TrainingPool,
  questions: readonly Question[],
  parameters: Float32Array,
): Predict {
  return async ({ group, context, targets }) => {
    const { probabilities } = await pool.run<'predict'>({
      kind: 'predict',
      parameters,
      group,
      context,
      target: targets,
    });
    let position = 0;
    return targets.map((question) => {
      const start = position;
      position += questions[question]!.options.length;
      return probabilities.subarray(start, position);
    });
  };
}
