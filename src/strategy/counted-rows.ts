import { asStage } from '../core/brand.ts';
import { type CountedRows, forRow, isEnough } from '../wire/counted-rows.ts';
import { makeModel } from '../wire/model.ts';
import type { Aggregate, Model } from '../wire/stages.ts';
import type { Strategy } from './strategy.ts';

/** What a count in an update stands for. */
export interface CountScale {
  /** What a group adds for a row that it touched: times its weight, as everything in an update. */
  readonly unit: number;
  /** The largest weight that the strategy gives any group. */
  readonly mostWeight: number;
}

/**
 * How many groups touched each row, at the least: exactly, where all weights are equal. A group of less than the largest weight counts
 * as less than one.
 */
export function countsOf(
  { weightedSum }: Aggregate,
  { offset, rows }: CountedRows,
  scale: CountScale,
): Float32Array {
  const { unit, mostWeight } = scale;
  return Float32Array.from({ length: rows }, (_, row) =>
    Math.max(0, weightedSum[offset + row]! / unit / mostWeight),
  );
}

/** The same aggregate as if all groups had touched every row: rows hold the mean of those that did, or nothing where they are too few. */
function released(
  aggregate: Aggregate,
  counted: CountedRows,
  counts: Float32Array,
  { unit }: CountScale,
): Aggregate {
  const weightedSum = aggregate.weightedSum.slice();
  for (const [row, count] of counts.entries()) {
    const weight = aggregate.weightedSum[counted.offset + row]! / unit;
    const factor = isEnough(count, counted) ? aggregate.totalWeight / weight : 0;
    forRow(counted, row, (position) => {
      weightedSum[position] = weightedSum[position]! * factor;
    });
    weightedSum[counted.offset + row] = 0;
  }
  return asStage({ ...aggregate, weightedSum });
}

/** The model with the counts of its round in their place: of groups that have left nothing is remembered. */
function withCounts(next: Model, counts: Float32Array, { offset }: CountedRows): Model {
  const parameters = next.parameters.slice();
  parameters.set(counts, offset);
  return makeModel(next.round, parameters);
}

/** A strategy for a vector with counted rows: each row's mean is over the groups that touched it, and the model says how many those are. */
export function countingRows(strategy: Strategy, counted: CountedRows, scale: CountScale): Strategy {
  return {
    ...strategy,
    next: (model, aggregate, state) => {
      const counts = countsOf(aggregate, counted, scale);
      const next = strategy.next(model, released(aggregate, counted, counts, scale), state);
      return { ...next, model: withCounts(next.model, counts, counted) };
    },
  };
}
