import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import { klLoss } from '../kl-loss.ts';
import type { QuestionSoftmax } from '../question-softmax.ts';
import type { GpoOptions } from './options.ts';
import type { GpoOutput } from './transformer.ts';

/** What a task asks: the group's true answers [T], and how many they are, as float [1]. */
export interface GpoTargets {
  readonly targetShares: Node;
  readonly targetSize: Node;
}

/**
 * Gaussian negative log-likelihood of the shares around the per-question softmax, mean over targets
 * (PluralLLM, equation 4):  (y - p)^2 / (2 std^2) + ln std + ln(2 pi) / 2.
 */
function gaussianLoss(
  { targetShares: shares, targetSize }: GpoTargets,
  predicted: QuestionSoftmax,
  logScale: Node,
  stdFloor: number,
): Node {
  // ln max(std, floor), written with relu.
  const floor = g.constant(Math.log(stdFloor));
  const logStd = stdFloor > 0 ? g.add(g.relu(g.sub(logScale, floor)), floor) : logScale;
  const error = g.div(g.sub(shares, predicted.probabilities), g.exp(logStd));
  const density = g.add(g.mul(g.square(error), g.constant(0.5)), logStd);
  return g.add(g.div(g.sumAll(density), g.reshape(targetSize, [])), g.constant(0.5 * Math.log(2 * Math.PI)));
}

/** The training loss of a task as a scalar. */
export function gpoLoss(
  targets: GpoTargets,
  predicted: QuestionSoftmax,
  output: GpoOutput,
  options: Pick<GpoOptions, 'loss' | 'stdFloor'>,
): Node {
  return options.loss === 'nll'
    ? gaussianLoss(targets, predicted, output.logScale, options.stdFloor)
    : klLoss(targets.targetShares, predicted);
}
