import type { Batch } from '../predictor/batch.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import type { Device } from './device.ts';
import type { FeatureStorage } from './feature-storage.ts';
import type { GradientResult, OptimizerSnapshot } from './jobs.ts';
import type { AdamOptions } from './optimizer.ts';

/** What an engine is made for. */
export interface EngineSetup {
  readonly predictor: TrainablePredictor;
  readonly device: Device;
  readonly optimizer: AdamOptions;
  readonly features: FeatureStorage;
}

/**
 * Computes with one predictor on one device, on the parameters that it was last given. One call at a time. Sessions are opened when
 * first needed. Errors: ENGINE_FAILED, DEVICE_UNAVAILABLE.
 */
export interface Engine {
  /** Takes over parameters, float32 [size]; what follows is computed with them. */
  load(parameters: Float32Array): Promise<void>;
  /**
   * Takes over moments for the steps that follow; null: fresh ones. `proximal`: the mu of a term (mu / 2) |theta - theta_now|^2 of the loss that
   * steps go by and do not return; left out: 0, which is all that devices know that keep the parameters.
   */
  begin(optimizer: OptimizerSnapshot | null, proximal?: number): Promise<void>;
  /** One step of Adam on a batch; the loss before it. A loss that is not finite changes nothing that is of use. */
  step(batch: Batch, learningRate: number): Promise<number>;
  /** Loss and gradient of a batch. */
  gradient(batch: Batch): Promise<GradientResult>;
  /** Predicted share of each target point, [T]. */
  predict(batch: Batch): Promise<Float32Array>;
  /** Parameters now, as a copy. */
  parameters(): Promise<Float32Array>;
  /** Moments now, as a copy. */
  optimizer(): Promise<OptimizerSnapshot>;
  close(): Promise<void>;
}
