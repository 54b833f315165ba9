import { strategyOf } from '../config/round-plugins.ts';
import { forEachOrdered } from '../core/concurrent.ts';
import { initialModel } from '../training/initial-model.ts';
import { shareFloats } from '../training/shared-data.ts';
import { predictorFrom, type RunContext } from './context.ts';
import type { AskedToTrain, Learner, TrainedGroup } from './learner.ts';

/** Every group trains the whole predictor, in the worker pool of the run; no more than two models per worker are in memory. */
export function poolLearner(run: RunContext): Learner {
  const { experiment, pool } = run;
  const { predictor, survey, config } = experiment;
  const { localSteps, rounds } = config.training;
  const { proximal } = strategyOf(config).local;

  function train({ groups, round, received }: AskedToTrain, consume: (trained: TrainedGroup) => void) {
    const shared = shareFloats(received);
    return forEachOrdered(
      groups,
      2 * pool.workers,
      (group) =>
        pool.run<'train'>({
          kind: 'train',
          parameters: shared,
          group,
          stream: ['group', survey.groups[group]!.id],
          firstStep: (round - 1) * localSteps,
          steps: localSteps,
          totalSteps: rounds * localSteps,
          optimizer: null,
          proximal,
          keepOptimizer: false,
        }),
      ({ parameters, loss }, group) => consume({ group, parameters, loss }),
    );
  }

  return {
    layout: predictor.layout,
    initial: () => initialModel(predictor, config.seed),
    train,
    predictor: (parameters) => predictorFrom(run, parameters),
    memory: () => null,
    restore: async () => undefined,
    close: async () => undefined,
  };
}
