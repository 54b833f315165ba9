import type { Node } from '../graph/node.ts';
import * as g from '../graph/ops.ts';

/** Softmax within each question, in a form that both the loss and the prediction use. */
export interface QuestionSoftmax {
  /** ln p of each point, [T]. */
  readonly logProbabilities: Node;
  /** p of each point, [T]. */
  readonly probabilities: Node;
  /** Number of questions, scalar. */
  readonly questionCount: Node;
}

/** Far below any score, yet finite: exp of it is exactly 0. */
const MASKED = -1e30;

/** 1 where two points are of one question, else 0: [n, n] from the questions, int32 [n]. */
export function sameQuestion(questions: Node): Node {
  const size = questions.shape[0]!;
  return g.equal(g.reshapeIndex(questions, [size, 1]), g.reshapeIndex(questions, [1, size]));
}

/**
 * Softmax of scores [T] within each question; `questions` [T] is int32 and says which point belongs to which.
 * Quadratic in T, which for the hundreds of targets of a task is far below the cost of the transformer.
 */
export function questionSoftmax(scores: Node, questions: Node): QuestionSoftmax {
  const size = scores.shape[0]!;
  const column = (x: Node) => g.reshape(x, [size, 1]);
  const row = (x: Node) => g.reshape(x, [1, size]);
  const same = sameQuestion(questions);
  // The largest score of each point's question; softmax does not depend on it, so no gradient is lost.
  const masked = g.add(row(scores), g.mul(g.sub(g.constant(1), same), g.constant(MASKED)));
  const shifted = g.sub(column(scores), g.detach(g.reduceMax(masked)));
  const total = g.gemm(same, g.exp(shifted));
  const logProbabilities = g.reshape(g.sub(shifted, g.log(total)), [size]);
  // Each question's points add up to 1: 1 / (its number of options) from each.
  const questionCount = g.sumAll(g.div(g.constant(1), g.reduceSum(same, [1])));
  return { logProbabilities, probabilities: g.exp(logProbabilities), questionCount };
}
