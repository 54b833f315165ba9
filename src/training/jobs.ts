import type { TaskSize } from './batches.ts';
import type { Device } from './device.ts';
import type { FeatureStorage } from './feature-storage.ts';
import type { AdamOptions } from './optimizer.ts';
import type { ScheduleOptions } from './schedule.ts';
import type { SharedData } from './shared-data.ts';

/** What a worker is started with. */
export interface WorkerSetup {
  readonly predictor: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  readonly device: Device;
  readonly features: FeatureStorage;
  readonly data: SharedData;
  readonly seed: number;
  readonly task: TaskSize;
  readonly optimizer: AdamOptions;
  readonly schedule: ScheduleOptions;
  /** Questions that no training task may touch. */
  readonly heldOutQuestions: readonly number[];
}

/** What a worker thread gets from its pool. */
export interface WorkerStart {
  readonly setup: WorkerSetup;
  /** Shared int32 [1]: 1 asks for the job under way to be given up. */
  readonly stop: Int32Array;
}

/** Moments and step count of an optimiser, as data. */
export interface OptimizerSnapshot {
  readonly first: Float32Array;
  readonly second: Float32Array;
  readonly steps: number;
}

/** Some optimiser steps of one group on its own answers, one task per step. */
export interface TrainJob {
  readonly kind: 'train';
  readonly parameters: Float32Array;
  readonly group: number;
  /** Which randomness to use: tasks are a function of (seed, stream, step). */
  readonly stream: readonly (string | number)[];
  /** Position of the first step in the schedule, and the schedule's length. */
  readonly firstStep: number;
  readonly steps: number;
  readonly totalSteps: number;
  /** Moments to go on from; null starts afresh. */
  readonly optimizer: OptimizerSnapshot | null;
  /** mu of the proximal term that holds training to `parameters`; left out: 0. */
  readonly proximal?: number;
  /** Whether the moments are wanted afterwards: they are twice as long as the parameters. */
  readonly keepOptimizer: boolean;
}

export interface TrainResult {
  /** Parameters after the last step. */
  readonly parameters: Float32Array;
  /** Mean loss over the steps. */
  readonly loss: number;
  /** Null where nobody wanted it. */
  readonly optimizer: OptimizerSnapshot | null;
}

/** Gradient of one task of one group. */
export interface GradientJob {
  readonly kind: 'gradient';
  readonly parameters: Float32Array;
  readonly group: number;
  readonly stream: readonly (string | number)[];
  readonly step: number;
}

export interface GradientResult {
  readonly gradient: Float32Array;
  readonly loss: number;
}

/** Some questions of one group, to be predicted from its answers to others. */
export interface Asked {
  readonly group: number;
  readonly context: readonly number[];
  readonly target: readonly number[];
}

/** Predictions of one model for one group after the other: the parameters are taken over once. */
export interface PredictJob {
  readonly kind: 'predict';
  readonly parameters: Float32Array;
  readonly asked: readonly Asked[];
}

export interface PredictResult {
  /** For each that was asked, the shares of all target points, question by question. */
  readonly probabilities: readonly Float32Array[];
}

export type Job = TrainJob | GradientJob | PredictJob;
export type JobResult<Kind extends Job['kind']> = Kind extends 'train'
  ? TrainResult
  : Kind extends 'gradient'
    ? GradientResult
    : PredictResult;

/** What goes over the port. */
export interface JobRequest {
  readonly id: number;
  readonly job: Job;
}

export type JobReply =
  /** The worker has loaded its code and waits for jobs. */
  | { readonly ready: true }
  | { readonly id: number; readonly result: TrainResult | GradientResult | PredictResult }
  | { readonly id: number; readonly error: { code: string; message: string; hint: string | undefined } };
