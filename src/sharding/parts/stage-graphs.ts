import { emitOnnx } from '../../graph/emit.ts';
import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import { gpoInputs, ROWS, rowInputs } from '../../predictor/gpo/inputs.ts';
import { gpoLoss } from '../../predictor/gpo/loss.ts';
import type { ParameterLayout } from '../../predictor/layout.ts';
import { ParameterViews } from '../../predictor/parameter-views.ts';
import { GRAPH_NAMES } from '../../predictor/predictor.ts';
import { questionSoftmax } from '../../predictor/question-softmax.ts';
import { frontForward, headForward, stageForward } from '../../predictor/staged/forward.ts';
import type { StagedOptions } from '../../predictor/staged/options.ts';
import type { Precision } from './part-session.ts';

/** Inputs and outputs of the parts' graphs beside those of all predictors. */
export const FRAME_NAMES = {
  /** Frame from the part before, and the gradient for it. */
  input: 'x',
  inputGradient: 'dx',
  /** Frame for the part after, and the gradient from it. */
  output: 'y',
  outputGradient: 'dy',
} as const;

/** A part of a sharded model and what its graphs are written in. */
export interface PartShape {
  readonly options: StagedOptions;
  /** The part's own parameters (`stagedParts`). */
  readonly layout: ParameterLayout;
  readonly precision: Precision;
}

/** ONNX bytes of the two directions. */
export interface PartGraphs {
  readonly forward: Uint8Array;
  readonly backward: Uint8Array;
}

/** A number whose gradient is the gradient that arrived: sum(y dy). */
function weighted(output: Node): Node {
  return g.sumAll(g.mul(output, g.input(FRAME_NAMES.outputGradient, output.shape)));
}

/** Tokens in, `y` out; backward: tokens and `dy` in, the part's flat gradient out. */
export function frontGraphs({ options, layout, precision }: PartShape, featureWidth: number): PartGraphs {
  const output = (parameters: ParameterViews) =>
    frontForward(gpoInputs(featureWidth, 'fed').tokens, options, parameters);
  const parameters = new ParameterViews(layout);
  const gradient = parameters.gradientOf(weighted(output(parameters)));
  return {
    forward: emitOnnx(
      { [FRAME_NAMES.output]: output(new ParameterViews(layout)) },
      { name: 'front', precision },
    ),
    backward: emitOnnx({ [GRAPH_NAMES.gradient]: gradient }, { name: 'front-backward', precision }),
  };
}

/**
 * `x` and where the context ends in, `y` out; backward: `x` and `dy` in, `dx` and the part's flat gradient out. It works out again what it
 * needs of the forward pass, so that a keeper keeps `x` alone between the two.
 */
export function stageGraphs({ options, layout, precision }: PartShape, stage: number): PartGraphs {
  const build = () => {
    const x = g.input(FRAME_NAMES.input, [ROWS.whole, options.width]);
    const parameters = new ParameterViews(layout);
    return { x, parameters, y: stageForward(x, stage, rowInputs(), options, parameters) };
  };
  const { x, parameters, y } = build();
  const gradient = parameters.gradientWith(weighted(y), x);
  const name = `stage-${stage}`;
  return {
    forward: emitOnnx({ [FRAME_NAMES.output]: build().y }, { name, precision }),
    backward: emitOnnx(
      { [FRAME_NAMES.inputGradient]: gradient.input, [GRAPH_NAMES.gradient]: gradient.parameters },
      { name: `${name}-backward`, precision },
    ),
  };
}

/** Forward: `x` and questions in, `probabilities` out; backward: the true shares too, `loss`, `dx` and the part's flat gradient out. */
export function headGraphs({ options, layout, precision }: PartShape, featureWidth: number): PartGraphs {
  const build = () => {
    const x = g.input(FRAME_NAMES.input, [ROWS.tail, options.width]);
    const parameters = new ParameterViews(layout);
    const inputs = gpoInputs(featureWidth, 'fed');
    const output = headForward(x, inputs, parameters);
    return { x, parameters, inputs, output, predicted: questionSoftmax(output.location, inputs.questions) };
  };
  const { x, parameters, inputs, output, predicted } = build();
  const loss = gpoLoss(inputs, predicted, output, options);
  const gradient = parameters.gradientWith(loss, x);
  return {
    forward: emitOnnx(
      { [GRAPH_NAMES.probabilities]: build().predicted.probabilities },
      { name: 'head', precision },
    ),
    backward: emitOnnx(
      {
        [GRAPH_NAMES.loss]: loss,
        [FRAME_NAMES.inputGradient]: gradient.input,
        [GRAPH_NAMES.gradient]: gradient.parameters,
      },
      { name: 'head-backward', precision },
    ),
  };
}
