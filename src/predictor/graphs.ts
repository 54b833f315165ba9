import { adamNodes } from '../graph/adam.ts';
import { emitOnnx } from '../graph/emit.ts';
import type { Node } from '../graph/node.ts';
import * as g from '../graph/ops.ts';
import type { ParameterLayout } from './layout.ts';
import { ParameterViews } from './parameter-views.ts';
import { type FeatureSource, GRAPH_NAMES, type TrainablePredictor } from './predictor.ts';

/** What a predictor's graphs are made of. */
export interface GraphParts {
  /** Stands in the names of the graphs. */
  readonly name: string;
  readonly layout: ParameterLayout;
  /** The training loss of a batch as a scalar; it reads every parameter. */
  loss(parameters: ParameterViews, features: FeatureSource): Node;
  /** `probabilities`, and what else a prediction tells. */
  predictions(parameters: ParameterViews, features: FeatureSource): Readonly<Record<string, Node>>;
}

/** The graphs that every predictor has. */
export function graphsOf({
  name,
  layout,
  loss: lossOf,
  predictions,
}: GraphParts): Pick<TrainablePredictor, 'trainingGraph' | 'stepGraph' | 'predictionGraph'> {
  return {
    trainingGraph: ({ features = 'fed', apart = false, ...emission } = {}) => {
      const parameters = new ParameterViews(layout, apart);
      const loss = lossOf(parameters, features);
      const gradient = apart
        ? parameters.gradientParts(loss)
        : { [GRAPH_NAMES.gradient]: parameters.gradientOf(loss) };
      return emitOnnx({ [GRAPH_NAMES.loss]: loss, ...gradient }, { name: `${name}-training`, ...emission });
    },
    stepGraph: (rates, { features = 'fed', apart: _, ...emission } = {}) => {
      const parameters = new ParameterViews(layout);
      const loss = lossOf(parameters, features);
      const first = g.input(GRAPH_NAMES.first, [layout.size]);
      const second = g.input(GRAPH_NAMES.second, [layout.size]);
      const figures = g.input(GRAPH_NAMES.figures, [3]);
      const before = { parameters: parameters.input, first, second };
      const after = adamNodes(before, parameters.gradientOf(loss), figures, rates);
      return emitOnnx(
        {
          [GRAPH_NAMES.loss]: loss,
          [GRAPH_NAMES.parametersAfter]: after.parameters,
          [GRAPH_NAMES.firstAfter]: after.first,
          [GRAPH_NAMES.secondAfter]: after.second,
        },
        { name: `${name}-step`, ...emission },
      );
    },
    predictionGraph: ({ features = 'fed', apart = false, ...emission } = {}) =>
      emitOnnx(predictions(new ParameterViews(layout, apart), features), {
        name: `${name}-prediction`,
        ...emission,
      }),
  };
}
