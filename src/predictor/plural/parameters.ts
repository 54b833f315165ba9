import type { RandomStream } from '../../core/random.ts';
import { gpoLayout, initialiseGpo } from '../gpo/parameters.ts';
import { countRows, entryOf, layOut, type ParameterLayout, tensorOf } from '../layout.ts';
import type { PredictorShape } from '../predictor.ts';
import { type PluralOptions, transformerOptions } from './options.ts';

/** Names of the tensors beside those of the networks. */
export const TENSORS = { memory: 'items.memory', counts: 'items.counts' } as const;

/** Name of a layer of a member's network. */
export function itemLayer(member: number, layer: number, part: 'weight' | 'bias'): string {
  return `items.${member}.${layer}.${part}`;
}

/** Numbers of one member's part of a row of the memory: a bias and factors. */
export function itemSize({ rank }: PluralOptions): number {
  return 1 + rank;
}

/** Inputs and outputs of a layer of an items' network. */
function layerShape(
  options: PluralOptions,
  featureWidth: number,
  layer: number,
): [outputs: number, inputs: number] {
  const { itemLayers, itemWidth } = options;
  return [layer === itemLayers ? itemSize(options) : itemWidth, layer === 0 ? featureWidth : itemWidth];
}

/** Layers of a member's network: torch's layout, weights [out, in]. The last has no bias: what all options of a question have in common changes no prediction. */
function itemTensors(options: PluralOptions, featureWidth: number, member: number) {
  return Array.from({ length: options.itemLayers + 1 }, (_, layer) => {
    const shape = layerShape(options, featureWidth, layer);
    const weight = { name: itemLayer(member, layer, 'weight'), shape };
    if (layer === options.itemLayers) return [weight];
    return [weight, { name: itemLayer(member, layer, 'bias'), shape: [shape[0]] }];
  }).flat();
}

/** The transformer's tensors where there is one, the members' networks, and the memory [rows, members (1 + rank)]: in each row a bias and factors for each member. */
export function pluralLayout(
  options: PluralOptions,
  { featureWidth, rows }: PredictorShape,
): ParameterLayout {
  const transformer = transformerOptions(options);
  const tensors = [
    ...(transformer === null ? [] : gpoLayout(transformer, featureWidth).entries),
    ...Array.from({ length: options.members }, (_, member) =>
      itemTensors(options, featureWidth, member),
    ).flat(),
    { name: TENSORS.memory, shape: [rows, options.members * itemSize(options)] },
  ];
  if (options.leastGroups === null) return layOut(tensors);
  const layout = layOut([...tensors, { name: TENSORS.counts, shape: [rows] }]);
  const { counts, memory } = TENSORS;
  return countRows(layout, { counts, tensors: [memory], least: options.leastGroups });
}

/** He's normal weights, and factors of a deviation of about `initialDeviation`. */
function initialiseNetwork(
  options: PluralOptions,
  member: number,
  layout: ParameterLayout,
  flat: Float32Array,
  streamOf: (tensor: string) => RandomStream,
): void {
  for (let layer = 0; layer <= options.itemLayers; layer++) {
    const name = itemLayer(member, layer, 'weight');
    const [, inputs = 1] = entryOf(layout, name).shape;
    const gain = layer === options.itemLayers ? options.initialDeviation : Math.SQRT2;
    const weights = tensorOf(layout, flat, name);
    const random = streamOf(name);
    for (let i = 0; i < weights.length; i++) weights[i] = (gain * random.normal()) / Math.sqrt(inputs);
  }
}

/** An empty memory, so that what is predicted at first is what the features say. */
export function initialisePlural(
  options: PluralOptions,
  { featureWidth }: PredictorShape,
  layout: ParameterLayout,
  streamOf: (tensor: string) => RandomStream,
): Float32Array {
  const flat = new Float32Array(layout.size);
  const transformer = transformerOptions(options);
  if (transformer !== null) {
    flat.set(initialiseGpo(transformer, gpoLayout(transformer, featureWidth), streamOf));
  }
  for (let member = 0; member < options.members; member++) {
    initialiseNetwork(options, member, layout, flat, streamOf);
  }
  return flat;
}
