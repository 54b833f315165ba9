import type { RandomStream } from '../../core/random.ts';
import { emitOnnx } from '../../graph/emit.ts';
import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import { answerFeeds, answerInputs } from '../answers.ts';
import { graphsOf } from '../graphs.ts';
import { klLoss } from '../kl-loss.ts';
import { countRows, layOut, type ParameterLayout, tensorOf } from '../layout.ts';
import { ParameterViews } from '../parameter-views.ts';
import { definePredictor, GRAPH_NAMES, type PredictorShape, type TrainablePredictor } from '../predictor.ts';
import { questionSoftmax } from '../question-softmax.ts';
import { fitVector } from './newton.ts';
import { type FactorOptions, factorOptions } from './options.ts';

const BIAS = 'items.bias';
const FACTORS = 'items.factors';
const COUNTS = 'items.counts';
const EVIDENCE = 'log_evidence';

/** Symbol of the number of target points. */
const TARGET = 'T';

function factorLayout({ rank, leastGroups }: FactorOptions, rows: number): ParameterLayout {
  const tensors = [
    { name: BIAS, shape: [rows, 1] },
    { name: FACTORS, shape: [rows, rank] },
    { name: EVIDENCE, shape: [1] },
  ];
  if (leastGroups === null) return layOut(tensors);
  const layout = layOut([...tensors, { name: COUNTS, shape: [rows] }]);
  return countRows(layout, { counts: COUNTS, tensors: [BIAS, FACTORS], least: leastGroups });
}

/** Rows of the memory by their indices. */
function itemsOf(rows: Node, parameters: ParameterViews) {
  return {
    bias: g.gatherRows(parameters.tensor(BIAS), rows),
    factors: g.gatherRows(parameters.tensor(FACTORS), rows),
  };
}

/** Predicted shares of the targets: the group's vector from its context, applied to the targets' items. */
function forward(options: FactorOptions, parameters: ParameterViews) {
  if (options.leastGroups !== null) parameters.frozen(COUNTS);
  const { rows, contextQuestions, contextShares } = answerInputs();
  const targetItems = itemsOf(rows.target, parameters);
  const vector = fitVector(
    {
      ...itemsOf(rows.context, parameters),
      shares: g.reshape(contextShares, [contextShares.shape[0]!, 1]),
      questions: contextQuestions,
      weight: g.exp(parameters.tensor(EVIDENCE)),
    },
    options.newtonSteps,
  );
  const scores = g.add(targetItems.bias, g.gemm(targetItems.factors, vector));
  return questionSoftmax(g.reshape(scores, [TARGET]), g.input('target_question', [TARGET], 'int32'));
}

function initialise(
  { evidence, initialDeviation }: FactorOptions,
  layout: ParameterLayout,
  streamOf: (tensor: string) => RandomStream,
): Float32Array {
  const flat = new Float32Array(layout.size);
  const random = streamOf(FACTORS);
  const factors = tensorOf(layout, flat, FACTORS);
  for (let i = 0; i < factors.length; i++) factors[i] = initialDeviation * random.normal();
  tensorOf(layout, flat, EVIDENCE)[0] = Math.log(evidence);
  return flat;
}

function createFactor(options: FactorOptions, { featureWidth, rows }: PredictorShape): TrainablePredictor {
  const layout = factorLayout(options, rows);
  return {
    name: 'factor',
    options,
    featureWidth,
    layout,
    initialise: (streamOf) => initialise(options, layout, streamOf),
    ...graphsOf({
      name: 'factor',
      layout,
      loss: (parameters) => klLoss(g.input('target_share', [TARGET]), forward(options, parameters)),
      predictions: (parameters) => {
        const { probabilities } = forward(options, parameters);
        return { [GRAPH_NAMES.probabilities]: probabilities };
      },
    }),
    exportGraph: (values, metadata) => {
      const { probabilities } = forward(options, new ParameterViews(layout));
      const stored = { [GRAPH_NAMES.parameters]: values };
      return emitOnnx({ [GRAPH_NAMES.probabilities]: probabilities }, { name: 'factor', stored, metadata });
    },
    exportSignature:
      'context_rows int32 [C], context_question int32 [C], context_share [C], target_rows int32 [T], target_question int32 [T]; rows count the answer options of the survey, question by question, from 0',
    feeds: answerFeeds,
  };
}

/** A memory of items: each answer option has a bias and a few factors, each group a vector that is fitted to what it tells. */
export const factor = definePredictor({
  name: 'factor',
  describe:
    'item memory: softmax(b + U z) with z fitted to the context; knows only questions that were trained on',
  options: factorOptions,
  create: createFactor,
});
