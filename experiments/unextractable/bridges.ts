import { entryOf, type ParameterLayout } from '../../src/predictor/layout.ts';
import { layerName } from '../../src/predictor/staged/parameters.ts';
import { crossMoment, type Matrix, multiply, singularValues, sumOfOuter, transposed } from './matrix.ts';

/**
 * A bridge is the rotation R [d, d] that brings vectors on a boundary of one epoch to those of another, x R = x': with it, shards of the two
 * fit. All of these hold for rotations alone, which is what morphs are here.
 */

/** From frames of the same inputs in both epochs, by least squares (orthogonal Procrustes problem; Schönemann, 1966). */
export function sameInputBridge(from: Matrix, to: Matrix): Float64Array {
  const { left, right } = singularValues(crossMoment(from, to), from.width);
  return sumOfOuter(left, right);
}

/** Third moment along a direction. */
function skewAlong({ data, rows, width }: Matrix, direction: Float64Array): number {
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    let along = 0;
    for (let i = 0; i < width; i++) along += data[row * width + i]! * direction[i]!;
    sum += along ** 3;
  }
  return sum / rows;
}

/**
 * From frames of different inputs of one distribution: axes of the second moments by their order, each one's sign by the third moment along it. Moments are
 * about 0, which is a fixed point of rotations.
 */
export function momentBridge(from: Matrix, to: Matrix): Float64Array {
  const axesOf = (frames: Matrix) =>
    singularValues(crossMoment(frames, frames), frames.width).right.map((axis) => {
      const sign = skewAlong(frames, axis) < 0 ? -1 : 1;
      return axis.map((value) => sign * value);
    });
  return sumOfOuter(axesOf(from), axesOf(to));
}

/** The shard of one stage in one epoch, with the layout of its own vector. */
export interface HeldShard {
  readonly layout: ParameterLayout;
  readonly values: Float64Array;
}

/**
 * The bridges at the entry and at the exit of a stage that is held at two epochs, exactly: N = A^-1 O turns with the entry alone, and the
 * product of the skips, A^-1 M C, tells the exit's turn from the entry's (ADR 15).
 */
export function heldStageBridges(
  stage: number,
  width: number,
  from: HeldShard,
  to: HeldShard,
): { readonly entry: Float64Array; readonly exit: Float64Array } {
  const tensor = ({ layout, values }: HeldShard, name: string) => {
    const { offset, size } = entryOf(layout, name);
    return values.subarray(offset, offset + size);
  };
  const layers = new Set(from.layout.entries.map(({ name }) => Number(name.split('.')[3])));
  const norm = `${layerName(stage, 0)}.norm1`;
  const skips = (shard: HeldShard) =>
    [...layers]
      .flatMap((layer) => [1, 2].map((index) => tensor(shard, `${layerName(stage, layer)}.skip${index}`)))
      .reduce((product, skip) => multiply(product, skip, width), identity(width));
  const entry = multiply(tensor(from, norm), transposed(tensor(to, norm), width), width);
  const exit = multiply(transposed(skips(from), width), multiply(entry, skips(to), width), width);
  return { entry, exit };
}

function identity(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => Number(at % (n + 1) === 0));
}
