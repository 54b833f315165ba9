import type { ParameterEntry, ParameterLayout } from '../../predictor/layout.ts';
import { HEAD_HIDDEN_BIAS } from '../../predictor/staged/parameters.ts';
import { type AdamFactors, type AdamOptions, adamFactors } from '../../training/optimizer.ts';
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

/** How a tensor lies in memory along an axis: `blocks` times `size` times `stride` numbers. */
interface Lanes {
  readonly size: number;
  readonly stride: number;
}

/** Where no axis is shared each number is a lane of its own. */
function lanesOf(shape: readonly number[], axis: number | undefined): Lanes {
  if (axis === undefined) return { size: 1, stride: 1 };
  return { size: shape[axis]!, stride: shape.slice(axis + 1).reduce((product, dim) => product * dim, 1) };
}

/** Mean of the squares over each lane, in the order of the lanes. */
function meanSquares(gradient: Floats, { size, stride }: Lanes): Float64Array {
  const means = new Float64Array(gradient.length / size);
  for (let block = 0, lane = 0; block < gradient.length; block += size * stride) {
    for (let start = block; start < block + stride; start++) {
      let sum = 0;
      for (let at = start; at < start + size * stride; at += stride) sum += gradient[at]! * gradient[at]!;
      means[lane++] = sum / size;
    }
  }
  return means;
}

/** A step of Adam on some numbers that have the square of their own gradient, or share that of their lane. */
function stepTensor(
  parameters: Float64Array,
  gradient: Floats,
  lanes: Lanes,
  { first, second }: Pick<StageMoments, 'first' | 'second'>,
  { beta1, beta2, rate1, rate2, stepSize, secondScale, epsilon, keep }: AdamFactors,
): void {
  const { size, stride } = lanes;
  const means = size === 1 ? null : meanSquares(gradient, lanes);
  for (let i = 0; i < parameters.length; i++) {
    const own = gradient[i]!;
    const square =
      means === null ? own * own : means[Math.floor(i / (size * stride)) * stride + (i % stride)]!;
    first[i] = beta1 * first[i]! + rate1 * own;
    second[i] = beta2 * second[i]! + rate2 * square;
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
    const lanes = lanesOf(entry.shape, axisOf.get(entry.name));
    const { first, second } = moments;
    stepTensor(own(parameters), own(gradient), lanes, { first: own(first), second: own(second) }, factors);
  }
}

function tensorIn<Values extends Floats>(values: Values, { offset, size }: ParameterEntry): Values {
  return values.subarray(offset, offset + size) as Values;
}
