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
    /** Alignment score of the received model on the group's own answers, 0 to 1; null where it is not told. */
    readonly score: number | null;
  }
>;

/** A group's reply to a collection step, as a protection lets it out: its update, or what hiding it takes. */
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

/** What the mean and the spread of scores follow from, without anybody's score. */
export interface ScoreSums {
  /** How many groups told their score. */
  readonly groups: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/** All the aggregator keeps of a round's submissions: their weighted sum. */
export type Aggregate = Stage<
  'Aggregate',
  {
    readonly round: number;
    /** Sum of weight times delta, float64 [parameters]. */
    readonly weightedSum: Float64Array;
    readonly totalWeight: number;
    /** Sums over the groups that told a score of the model that they trained from; null where nobody did. */
    readonly scores: ScoreSums | null;
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
