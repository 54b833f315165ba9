import type { ParameterEntry, ParameterLayout } from '../predictor/layout.ts';
import { HEAD_HIDDEN_BIAS } from '../predictor/staged/parameters.ts';
import { type AdamFactors, type AdamOptions, adamFactors } from '../training/optimizer.ts';
import type { BoundaryAxis } from './boundary-axes.ts';
import type { Floats } from './part-session.ts';

/** First and second moments, float64 [parameters] each, and the number of steps taken. */
export interface StageMoments {
  readonly first: Float64Array;
  readonly second: Float64Array;
  steps: number;
}

/** An axis of a tensor along which the second moment is shared. */
export type SharedAxis = Pick<BoundaryAxis, 'entry' | 'axis'>;

/**
 * Where second moments are shared: along all axes that can be turned, and over the bias of the head's hidden layer. A unit of that layer which is on in all
 * rows adds the same to all options of a question, so its bias has no effect on a KL loss and a gradient of pure rounding, which by itself
 * Adam would divide by its own size (ADR 2): sharded and whole training would part by whole steps.
 */
export function sharedAxes({ entries }: ParameterLayout, axes: readonly BoundaryAxis[]): SharedAxis[] {
  const hidden = entries.filter(({ name }) => name === HEAD_HIDDEN_BIAS).map((entry) => ({ entry, axis: 0 }));
  return [...axes, ...hidden];
}

/** The moments before the first step. */
export function freshMoments(size: number): StageMoments {
  return { first: new Float64Array(size), second: new Float64Array(size), steps: 0 };
}

/** Squares of a tensor's gradient; along an axis, the mean of the squares over it in place of each. */
function squaresOf(gradient: Floats, shape: readonly number[], axis: number | undefined): Float64Array {
  const squares = Float64Array.from(gradient, (value) => value * value);
  if (axis === undefined) return squares;
  const size = shape[axis]!;
  const stride = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  for (let block = 0; block < squares.length; block += size * stride) {
    for (let start = block; start < block + stride; start++) {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += squares[start + i * stride]!;
      for (let i = 0; i < size; i++) squares[start + i * stride] = sum / size;
    }
  }
  return squares;
}

function stepTensor(
  parameters: Float64Array,
  gradient: Floats,
  squares: Float64Array,
  { first, second }: Pick<StageMoments, 'first' | 'second'>,
  { beta1, beta2, rate1, rate2, stepSize, secondScale, epsilon, keep }: AdamFactors,
): void {
  for (let i = 0; i < parameters.length; i++) {
    first[i] = beta1 * first[i]! + rate1 * gradient[i]!;
    second[i] = beta2 * second[i]! + rate2 * squares[i]!;
    const change = (stepSize * first[i]!) / (Math.sqrt(second[i]!) * secondScale + epsilon);
    parameters[i] = parameters[i]! * keep - change;
  }
}

/**
 * One step of AdamW in float64, in place, that turns with the parameters: a step on a turned model is the turned step. Along the axes of
 * `shared` the second moment is the mean of the squares, which a rotation of the axis does not change; elsewhere it is Adam's own. A tensor shares along
 * one axis at most. Frozen tensors are left as they are, by weight decay too.
 */
export function stageAdamStep(
  { entries }: ParameterLayout,
  shared: readonly SharedAxis[],
  parameters: Float64Array,
  gradient: Floats,
  moments: StageMoments,
  learningRate: number,
  options: AdamOptions,
): void {
  moments.steps++;
  const factors = adamFactors(moments.steps, learningRate, options);
  const axisOf = new Map(shared.map(({ entry, axis }) => [entry.name, axis]));
  for (const entry of entries) {
    if (entry.frozen) continue;
    const own = <Values extends Floats>(values: Values) => tensorIn(values, entry);
    const squares = squaresOf(own(gradient), entry.shape, axisOf.get(entry.name));
    const { first, second } = moments;
    stepTensor(own(parameters), own(gradient), squares, { first: own(first), second: own(second) }, factors);
  }
}

function tensorIn<Values extends Floats>(values: Values, { offset, size }: ParameterEntry): Values {
  return values.subarray(offset, offset + size) as Values;
}
