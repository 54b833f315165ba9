import type { Node } from '../graph/node.ts';
import * as g from '../graph/ops.ts';
import type { QuestionSoftmax } from './question-softmax.ts';

/** Keeps 0 ln 0 at 0. */
const TINY = 1e-30;

/** KL(y || p) of each question's distribution, mean over questions:  sum y (ln y - ln p) / questions. shares [T] -> scalar. */
export function klLoss(
  shares: Node,
  { logProbabilities, questionCount }: Pick<QuestionSoftmax, 'logProbabilities' | 'questionCount'>,
): Node {
  const logShares = g.log(g.add(shares, g.constant(TINY)));
  const divergence = g.mul(shares, g.sub(logShares, logProbabilities));
  return g.div(g.sumAll(divergence), questionCount);
}
