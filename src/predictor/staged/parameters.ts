import { haarOrthogonal, turnAxis } from '../../core/orthogonal.ts';
import type { RandomStream } from '../../core/random.ts';
import { embedderTensors, fillUniform, headTensors, initialBound } from '../gpo/parameters.ts';
import {
  entryOf,
  layOut,
  type ParameterEntry,
  type ParameterLayout,
  type TensorShape,
  tensorOf,
} from '../layout.ts';
import type { StagedOptions } from './options.ts';

/** Prefix of the tensors of a stage, counted from 0. */
export function stagePrefix(stage: number): string {
  return `stages.${stage}.`;
}

/** Name of a layer of a stage, both counted from 0. */
export function layerName(stage: number, layer: number): string {
  return `${stagePrefix(stage)}layers.${layer}`;
}

/** The matrix before the norm of the head. */
export const HEAD_NORM = 'head.norm';

/** The bias of the head's hidden layer. */
export const HEAD_HIDDEN_BIAS = 'predictor.0.bias';

type Uniforms = Pick<RandomStream, 'uniform'>;

/** Tensors of one layer. Rows are multiplied from the right, x W, so matrices are [in, out], unlike torch's. */
function layerTensors(name: string, { width, feedforward }: StagedOptions): TensorShape[] {
  const square = [width, width];
  return [
    { name: `${name}.norm1`, shape: square, frozen: true },
    { name: `${name}.skip1`, shape: square, frozen: true },
    { name: `${name}.query`, shape: square },
    { name: `${name}.key`, shape: square },
    { name: `${name}.value`, shape: square },
    { name: `${name}.out.weight`, shape: square },
    { name: `${name}.out.bias`, shape: [width] },
    { name: `${name}.norm2`, shape: square, frozen: true },
    { name: `${name}.skip2`, shape: square, frozen: true },
    { name: `${name}.linear1.weight`, shape: [width, feedforward] },
    { name: `${name}.linear1.bias`, shape: [feedforward] },
    { name: `${name}.linear2.weight`, shape: [feedforward, width] },
    { name: `${name}.linear2.bias`, shape: [width] },
  ];
}

/** Front (the embedder), stages and head, one after the other, so that each is one range of the flat vector. */
export function stagedLayout(options: StagedOptions, featureWidth: number): ParameterLayout {
  const { stages, layersPerStage, width } = options;
  const middle = Array.from({ length: stages * layersPerStage }, (_, index) =>
    layerTensors(layerName(Math.floor(index / layersPerStage), index % layersPerStage), options),
  );
  return layOut([
    ...embedderTensors(options, featureWidth),
    ...middle.flat(),
    { name: HEAD_NORM, shape: [width, width], frozen: true },
    ...headTensors(options),
  ]);
}

/** As torch would draw the layer: gpo's Xavier bound for what its attention has in one tensor, 1/sqrt(in) for the rest, no bias after attention. */
function stageBound({ name, shape }: ParameterEntry, layout: ParameterLayout): number {
  const inputs = shape[0]!;
  if (/\.(query|key|value)$/.test(name)) return Math.sqrt(6 / (4 * inputs));
  if (name.endsWith('.out.bias')) return 0;
  if (name.endsWith('.weight')) return 1 / Math.sqrt(inputs);
  return 1 / Math.sqrt(entryOf(layout, name.replace(/bias$/, 'weight')).shape[0]!);
}

function fillIdentity(values: Float32Array, size: number): void {
  for (let i = 0; i < size; i++) values[i * size + i] = 1;
}

/** What reads the result of a norm's matrix, and along which axis it does. */
function readersOf(norm: string): readonly (readonly [name: string, axis: number])[] {
  if (norm === HEAD_NORM) return [['predictor.0.weight', 1]];
  const layer = norm.slice(0, norm.lastIndexOf('.'));
  if (norm.endsWith('2')) return [[`${layer}.linear1.weight`, 0]];
  return ['query', 'key', 'value'].map((name) => [`${layer}.${name}`, 0]);
}

/** Sets N to a rotation O, uniform among all, and turns what reads rms(X N) back by it: rms(X O) O^T W = rms(X) W. */
function turnNorm(
  layout: ParameterLayout,
  flat: Float32Array,
  { name, shape }: ParameterEntry,
  random: Uniforms,
): void {
  const rotation = haarOrthogonal(shape[0]!, random.uniform);
  tensorOf(layout, flat, name).set(rotation);
  for (const [reader, axis] of readersOf(name)) {
    turnAxis(tensorOf(layout, flat, reader), entryOf(layout, reader).shape, axis, rotation);
  }
}

/**
 * A start that computes what ordinary pre-norm layers of torch's initial distributions would: identities on the skips, rotations before the
 * norms. float32 [layout.size]. The layout may be that of a part.
 */
export function initialiseStaged(
  layout: ParameterLayout,
  streamOf: (tensor: string) => Uniforms,
): Float32Array {
  const flat = new Float32Array(layout.size);
  for (const entry of layout.entries) {
    const values = tensorOf(layout, flat, entry.name);
    if (/\.skip\d$/.test(entry.name)) fillIdentity(values, entry.shape[0]!);
    else if (!entry.frozen) {
      const bound = entry.name.startsWith('stages.')
        ? stageBound(entry, layout)
        : initialBound(entry, layout);
      fillUniform(values, bound, streamOf(entry.name));
    }
  }
  for (const entry of layout.entries.filter(({ name }) => /norm\d?$/.test(name))) {
    turnNorm(layout, flat, entry, streamOf(entry.name));
  }
  return flat;
}
