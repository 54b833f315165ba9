import type { RandomStream } from '../../core/random.ts';
import { layOut, type ParameterEntry, type ParameterLayout, type TensorShape } from '../layout.ts';
import type { GpoOptions } from './options.ts';

function linear(name: string, outputs: number, inputs: number): TensorShape[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs] },
    { name: `${name}.bias`, shape: [outputs] },
  ];
}

function norm(name: string, width: number): TensorShape[] {
  return [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
}

function encoderLayer(layer: number, { width, feedforward }: GpoOptions): TensorShape[] {
  const prefix = `encoder.layers.${layer}`;
  return [
    { name: `${prefix}.self_attn.in_proj_weight`, shape: [3 * width, width] },
    { name: `${prefix}.self_attn.in_proj_bias`, shape: [3 * width] },
    ...linear(`${prefix}.self_attn.out_proj`, width, width),
    ...linear(`${prefix}.linear1`, feedforward, width),
    ...linear(`${prefix}.linear2`, width, feedforward),
    ...norm(`${prefix}.norm1`, width),
    ...norm(`${prefix}.norm2`, width),
  ];
}

/** The embedder's tensors; its inputs are the feature vector and the share. */
export function embedderTensors(
  { width, embedderLayers }: Pick<GpoOptions, 'width' | 'embedderLayers'>,
  featureWidth: number,
): TensorShape[] {
  return Array.from({ length: embedderLayers }, (_, index) =>
    linear(`embedder.${2 * index}`, width, index === 0 ? featureWidth + 1 : width),
  ).flat();
}

/** Those of the output head. */
export function headTensors({
  width,
  feedforward,
}: Pick<GpoOptions, 'width' | 'feedforward'>): TensorShape[] {
  return [...linear('predictor.0', feedforward, width), ...linear('predictor.2', 2, feedforward)];
}

/**
 * Names, shapes and order of the parameters, as torch's modules of the reference predictor have them, so that
 * state dictionaries can be exchanged.
 */
export function gpoLayout(options: GpoOptions, featureWidth: number): ParameterLayout {
  const { width, layers } = options;
  return layOut([
    ...embedderTensors(options, featureWidth),
    ...Array.from({ length: layers }, (_, layer) => encoderLayer(layer, options)).flat(),
    ...(options.norm === 'pre' ? norm('encoder.norm', width) : []),
    ...headTensors(options),
  ]);
}

/**
 * Bound of the uniform distribution that torch starts a tensor with: Linear draws weight and bias from
 * U(-1/sqrt(in), 1/sqrt(in)); attention's input projection is Xavier-uniform with zero biases.
 */
export function initialBound(entry: ParameterEntry, layout: ParameterLayout): number {
  const [rows = 1, columns = 1] = entry.shape;
  if (entry.name.endsWith('in_proj_weight')) return Math.sqrt(6 / (rows + columns));
  if (/in_proj_bias$|out_proj\.bias$/.test(entry.name)) return 0;
  if (entry.name.endsWith('.weight')) return 1 / Math.sqrt(columns);
  const weight = layout.entries.find(({ name }) => name === entry.name.replace(/bias$/, 'weight'));
  return 1 / Math.sqrt(weight?.shape[1] ?? 1);
}

/** Draws from U(-bound, bound). */
export function fillUniform(
  values: Float32Array | Float64Array,
  bound: number,
  random: Pick<RandomStream, 'uniform'>,
): void {
  for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1);
}

/** Torch-compatible initial parameters (the distributions, not torch's generator), float32 [layout.size]. */
export function initialiseGpo(
  options: GpoOptions,
  layout: ParameterLayout,
  streamOf: (tensor: string) => RandomStream,
): Float32Array {
  const flat = new Float32Array(layout.size);
  for (const entry of layout.entries) {
    const values = flat.subarray(entry.offset, entry.offset + entry.size);
    if (/norm\d?\.(weight|bias)$/.test(entry.name)) {
      values.fill(entry.name.endsWith('weight') ? 1 : 0);
      continue;
    }
    const source = options.identicalLayers ? entry.name.replace(/layers\.\d+/, 'layers.0') : entry.name;
    fillUniform(values, initialBound(entry, layout), streamOf(source));
  }
  return flat;
}
