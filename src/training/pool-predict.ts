import { setImmediate } from 'node:timers';
import type { Question } from '../data/survey.ts';
import type { Predict, PredictionRequest } from '../predictor/prediction.ts';
import type { TrainingPool } from './pool.ts';

interface Waiting {
  readonly request: PredictionRequest;
  readonly resolve: (shares: Float32Array) => void;
  readonly reject: (error: unknown) => void;
}

/** Shares of all target points as one list for each question. */
export function byQuestion(
  questions: readonly Question[],
  targets: readonly number[],
  shares: Float32Array,
): Float32Array[] {
  let position = 0;
  return targets.map((question) => {
    const start = position;
    position += questions[question]!.options.length;
    return shares.subarray(start, position);
  });
}

/** Some items in as many runs of about the same length. */
function inRuns<Item>(items: readonly Item[], count: number): Item[][] {
  const size = Math.ceil(items.length / count);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, run) =>
    items.slice(run * size, (run + 1) * size),
  );
}

/**
 * Predictions of a model through a pool. Requests that are made together are done together: one job for each worker, which takes the
 * parameters over once. `parameters` must lie in shared memory or not change meanwhile.
 */
export function predictWith(
  pool: TrainingPool,
  questions: readonly Question[],
  parameters: Float32Array,
): Predict {
  let waiting: Waiting[] = [];

  async function run(some: readonly Waiting[]): Promise<void> {
    const asked = some.map(({ request: { group, context, targets } }) => ({
      group,
      context,
      target: targets,
    }));
    try {
      const { probabilities } = await pool.run<'predict'>({ kind: 'predict', parameters, asked });
      for (const [i, { resolve }] of some.entries()) resolve(probabilities[i]!);
    } catch (thrown) {
      for (const { reject } of some) reject(thrown);
    }
  }

  function dispatch(): void {
    const all = waiting;
    waiting = [];
    for (const some of inRuns(all, pool.workers)) void run(some);
  }

  return async (request) => {
    const probabilities = await new Promise<Float32Array>((resolve, reject) => {
      if (waiting.length === 0) setImmediate(dispatch);
      waiting.push({ request, resolve, reject });
    });
    return byQuestion(questions, request.targets, probabilities);
  };
}
