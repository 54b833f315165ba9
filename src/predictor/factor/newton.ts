import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import { questionSoftmax, sameQuestion } from '../question-softmax.ts';

/** Answered questions in terms of a group's vector z [k, 1]: their scores are bias + factors z. */
export interface Evidence {
  /** [C, 1] */
  readonly bias: Node;
  /** [C, k] */
  readonly factors: Node;
  /** True share of each point, [C, 1]. */
  readonly shares: Node;
  /** Question of each point, int32 [C]. */
  readonly questions: Node;
  /** Respondents that a question counts as, [1]. */
  readonly weight: Node;
}

/** Solves A x = b for a positive definite A [k, k] and b [k, 1] by Gauss-Jordan elimination; k is small, no pivot is near 0. */
export function solve(a: Node, b: Node): Node {
  const k = Number(a.shape[0]);
  let system = g.concat([a, b], 1);
  for (let i = 0; i < k; i++) {
    const row = g.slice(system, 0, i, i + 1);
    const pivotRow = g.div(row, g.slice(row, 1, i, i + 1));
    const unit = g.constant(
      Array.from({ length: k }, (_, j) => Number(i === j)),
      [k, 1],
    );
    // Every row loses its multiple of the pivot row; the row itself becomes it.
    const multiples = g.sub(g.slice(system, 1, i, i + 1), unit);
    system = g.sub(system, g.gemm(multiples, pivotRow));
  }
  return g.slice(system, 1, k, k + 1);
}

/**
 * The vector z that explains some answers best:  min_z  weight sum_q KL(y_q || softmax(b_q + U_q z)) + |z|^2 / 2,  by Newton's method
 * from z = 0. Its gradient is  weight U^T (p - y) + z,  its Hessian  weight V^T diag(p) V + 1  with V the factors less their mean
 * under p in each question: positive definite, so each step is defined. [k, 1]
 *
 * Each step is cut to 1 / (1 + d), d how far the whole step would move a score against the mean of its question, at the most. Along a step the third
 * derivative of the objective is at most D = 2 d times the second, so  t = ln(1 + D) / D  of the step lowers it (Sun and Tran-Dinh,
 * "Generalized self-concordant functions", 2019); 2 / (2 + D) is below that, smooth, and goes to 1 where steps get small.
 */
export function fitVector({ bias, factors, shares, questions, weight }: Evidence, steps: number): Node {
  const k = Number(factors.shape[1]);
  const points = factors.shape[0]!;
  const same = sameQuestion(questions);
  const identity = g.constant(
    Array.from({ length: k * k }, (_, i) => Number(i % (k + 1) === 0)),
    [k, k],
  );
  let z: Node = g.constant(Array<number>(k).fill(0), [k, 1]);
  for (let step = 0; step < steps; step++) {
    const scores = g.reshape(g.add(bias, g.gemm(factors, z)), [points]);
    const p = g.reshape(questionSoftmax(scores, questions).probabilities, [points, 1]);
    const gradient = g.add(g.mul(weight, g.gemm(factors, g.sub(p, shares), { transposeA: true })), z);
    const own = g.sub(factors, g.gemm(same, g.mul(p, factors)));
    const curvature = g.gemm(own, g.mul(p, own), { transposeA: true });
    const hessian = g.add(g.mul(weight, curvature), identity);
    const whole = solve(hessian, gradient);
    const moved = g.reshape(g.gemm(own, whole), [1, points]);
    const furthest = g.reduceMax(g.add(g.relu(moved), g.relu(g.neg(moved))));
    z = g.sub(z, g.div(whole, g.add(furthest, g.constant(1))));
  }
  return z;
}
