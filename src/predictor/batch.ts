import type { Stage } from '../core/brand.ts';

/** Points of one group: one per answer option of some questions, question by question. */
export interface Points {
  /** Row of each point's feature vector in the batch's table, shape [n]. */
  readonly rows: Int32Array;
  /** The group's share of each option, shape [n]; at targets of a prediction, zeros. */
  readonly probabilities: Float32Array;
  /** Index of the question of each point, shape [n]; points of one question are adjacent. */
  readonly questions: Int32Array;
}

interface BatchFields {
  /** Width of a feature vector. */
  readonly width: number;
  /** Feature vectors, row-major, shape [rows, width]: those of all questions, of which the points name some. */
  readonly table: Float32Array;
  /** What the group tells about itself. */
  readonly context: Points;
  /** What is to be predicted. */
  readonly target: Points;
}

/** One task of one group: context points and target points. */
export type Batch = Stage<'Batch', BatchFields>;
