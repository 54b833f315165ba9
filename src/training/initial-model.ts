import { randomStream } from '../core/random.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import { makeModel } from '../wire/model.ts';
import type { Model } from '../wire/stages.ts';

/** The model of round 0: what a predictor starts from is a function of the seed alone. */
export function initialModel(predictor: TrainablePredictor, seed: number): Model {
  return makeModel(
    0,
    predictor.initialise((tensor) => randomStream(seed, 'initialise', tensor)),
  );
}
