import type { RandomStream } from '../../core/random.ts';
import { gpoLayout, initialiseGpo } from '../gpo/parameters.ts';
import { countRows, layOut, type ParameterLayout, tensorOf } from '../layout.ts';
import type { PredictorShape } from '../predictor.ts';
import { type PluralOptions, transformerOptions } from './options.ts';

/** Names of the tensors beside those of the networks. */
export const TENSORS = { memory: 'items.memory', counts: 'items.counts', evidence: 'log_evidence' } as const;

/** Name of a layer of the items' network. */
export function itemLayer(layer: number, part: 'weight' | 'bias'): string {
  return `items.${layer}.${part}`;
}

/** Layers of the items' network: torch's layout, weights [out, in]. The last has no bias: what all options of a question have in common changes no prediction. */
function itemTensors({ itemLayers, itemWidth, rank }: PluralOptions, featureWidth: number) {
  return Array.from({ length: itemLayers + 1 }, (_, layer) => {
    const outputs = layer === itemLayers ? 1 + rank : itemWidth;
    const inputs = layer === 0 ? featureWidth : itemWidth;
    const weight = { name: itemLayer(layer, 'weight'), shape: [outputs, inputs] };
    return layer === itemLayers ? [weight] : [weight, { name: itemLayer(layer, 'bias'), shape: [outputs] }];
  }).flat();
}

/** The transformer's tensors where there is one, the items' network, and the memory [rows, 1 + rank]: a bias and factors for each row. */
export function pluralLayout(
  options: PluralOptions,
  { featureWidth, rows }: PredictorShape,
): ParameterLayout {
  const transformer = transformerOptions(options);
  const tensors = [
    ...(transformer === null ? [] : gpoLayout(transformer, featureWidth).entries),
    ...itemTensors(options, featureWidth),
    { name: TENSORS.evidence, shape: [1] },
    { name: TENSORS.memory, shape: [rows, 1 + options.rank] },
  ];
  if (options.leastGroups === null) return layOut(tensors);
  const layout = layOut([...tensors, { name: TENSORS.counts, shape: [rows] }]);
  const { counts, memory } = TENSORS;
  return countRows(layout, { counts, tensors: [memory], least: options.leastGroups });
}

/** An empty memory, so that what is predicted at first is what the features say: He's normal weights, and factors of a deviation of about `initialDeviation`. */
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
  for (let layer = 0; layer <= options.itemLayers; layer++) {
    const name = itemLayer(layer, 'weight');
    const weights = tensorOf(layout, flat, name);
    const inputs = layer === 0 ? featureWidth : options.itemWidth;
    const gain = layer === options.itemLayers ? options.initialDeviation : Math.SQRT2;
    const random = streamOf(name);
    for (let i = 0; i < weights.length; i++) weights[i] = (gain * random.normal()) / Math.sqrt(inputs);
  }
  tensorOf(layout, flat, TENSORS.evidence)[0] = Math.log(options.evidence);
  return flat;
}
