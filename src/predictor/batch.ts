import type { Stage } from '../core/brand.ts';

/** Points of one group: one per answer option of some questions, question by question. */
export interface Points {
  /** Feature vectors, row-major, shape [n, width]. */
  readonly features: Float32Array;
  /** The group's share of each option, shape [n]; at targets of a prediction, zeros. */
  readonly probabilities: Float32Array;
  /** Index of the question of each point, shape [n]; points of one question are adjacent. */
  readonly questions: Int32Array;
}

interface BatchFields {
  /** Width of a feature vector. */
  readonly width: number;
  /** What the group tells about itself. */
  readonly context: Points;
  /** What is to be predicted. */
  readonly target: Points;
}

/** One task of one group: context points and target points. */
export type Batch = Stage<'Batch', BatchFields>;
