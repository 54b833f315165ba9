import { invariant } from '../../core/errors.ts';
import { permutationOf } from '../secure-sum/beacon.ts';
import { largestEigenvalue } from './expansion.ts';
import type { GraphPlan } from './graph-plan.ts';

export { ASSUMED, type Assumptions } from '../secure-sum/assumptions.ts';
export {
  findGraph,
  type GraphPlan,
  mostLeftOut,
  planGraph,
} from './graph-plan.ts';

/** At the acceptance of two in ten that plans are made for, none is accepted once in 10^96 rounds. */
const MOST_DRAWS = 1000;

/**
 * degree/2 distinct offsets from 1 to (count - 1) / 2: the first draw whose graph cannot be cut. Half of an even count is no
 * offset, for it has one neighbour instead of two.
 */
function offsetsOf(count: number, beacon: string, { degree, mostEigenvalue }: GraphPlan): Uint32Array {
  for (let draw = 0; ; draw++) {
    invariant(draw < MOST_DRAWS, `no graph of ${count} groups has eigenvalues up to ${mostEigenvalue}`);
    const order = permutationOf(Math.floor((count - 1) / 2), `offsets ${draw}`, beacon);
    const offsets = order.subarray(0, degree / 2).map((index) => index + 1);
    if (largestEigenvalue(count, offsets) <= mostEigenvalue) return offsets;
  }
}

/** The vertices that are an offset away from place `at` on the circle, smallest first. */
function around(circle: Uint32Array, at: number, offsets: Uint32Array): Uint32Array {
  const found = new Uint32Array(2 * offsets.length);
  offsets.forEach((offset, i) => {
    found[2 * i] = circle[(at + offset) % circle.length]!;
    found[2 * i + 1] = circle[(at + circle.length - offset) % circle.length]!;
  });
  return found.sort();
}

/**
 * Each group's neighbours, in code-unit order, which everybody recomputes: a circle of all groups in an order drawn from the
 * beacon, each next to those at some offsets before and after it; with a degree of all others, all others. The order makes
 * the neighbours of a group a uniform choice among the others, whatever the offsets are (Bell et al. 2020, section 3.2, where they
 * are 1 to degree/2, and the circle can be cut with `degree` dropouts). The offsets are drawn from the beacon too, until
 * the graph's eigenvalues show that it cannot be cut. `groups` are distinct and in code-unit order; `beacon` is 64 lower-case
 * hex digits that nobody could choose; the plan's degree is even and less than the number of others, or equal to it. About
 * 20 ms for a thousand groups.
 */
export function neighboursOf(
  groups: readonly string[],
  beacon: string,
  plan: GraphPlan,
): ReadonlyMap<string, readonly string[]> {
  const { degree } = plan;
  const others = groups.length - 1;
  invariant(
    groups.every((group, i) => i === 0 || groups[i - 1]! < group),
    'groups in order, once each',
  );
  invariant(/^[0-9a-f]{64}$/.test(beacon), 'a beacon of 64 hex digits');
  invariant(degree === others || (degree > 0 && degree % 2 === 0 && degree < others), `degree ${degree}`);
  if (degree === others) return new Map(groups.map((group, i) => [group, groups.toSpliced(i, 1)]));
  const offsets = offsetsOf(groups.length, beacon, plan);
  const circle = permutationOf(groups.length, 'order', beacon);
  const neighbours = new Map<string, readonly string[]>();
  const named = (vertex: number) => groups[vertex]!;
  circle.forEach((vertex, at) => {
    neighbours.set(named(vertex), Array.from(around(circle, at, offsets), named));
  });
  return neighbours;
}
