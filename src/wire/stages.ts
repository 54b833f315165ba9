import type { Stage } from '../core/brand.ts';

/** What one group learned in one round, in clear. It never leaves the group like this. */
export type Update = Stage<
  'Update',
  {
    readonly group: string;
    readonly round: number;
    /** How much the update counts in the average; set by the strategy. */
    readonly weight: number;
    /** Trained minus received parameters, float32 [parameters]. */
    readonly delta: Float32Array;
  }
>;

/** An update as a protection lets it out. */
export type ProtectedUpdate = Stage<
  'ProtectedUpdate',
  {
    readonly group: string;
    readonly round: number;
    /** Name of the protection that made it. */
    readonly protection: string;
    readonly payload: Uint8Array;
  }
>;

/** A protected update as bytes for the aggregator. */
export type Submission = Stage<
  'Submission',
  {
    readonly group: string;
    readonly round: number;
    /** Index of the round's collection step that it answers. */
    readonly step: number;
    readonly bytes: Uint8Array;
    /** SHA-256 of `bytes`: the name of the submission. */
    readonly digest: string;
  }
>;

/** All the aggregator keeps of a round's submissions: their weighted sum. */
export type Aggregate = Stage<
  'Aggregate',
  {
    readonly round: number;
    /** Sum of weight times delta, float64 [parameters]. */
    readonly weightedSum: Float64Array;
    readonly totalWeight: number;
    /** Groups in the sum, in code-unit order. */
    readonly groups: readonly string[];
  }
>;

/** The predictor's parameters after a round; round 0 is the start. */
export type Model = Stage<
  'Model',
  {
    readonly round: number;
    /** Flat, float32 [parameters]. */
    readonly parameters: Float32Array;
    /** SHA-256 of the parameters' bytes. */
    readonly digest: string;
  }
>;
