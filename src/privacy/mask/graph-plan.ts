import { invariant } from '../../core/errors.ts';
import { quorumOf } from '../../wire/step.ts';
import type { Assumptions } from '../secure-sum/assumptions.ts';
import { hypergeometric, lowerQuantile, upperQuantile } from '../secure-sum/hypergeometric.ts';

/**
 * How many neighbours a group shares masks and secrets with (Bell, Bonawitz, Gascón, Lepoint, Raykova, "Secure single-server
 * aggregation with (poly)logarithmic overhead", CCS 2020), so that an aggregator that sees the graph before it says who is
 * gone still learns one sum only.
 *
 * Among n groups, C are corrupt, and chosen before the graph is known. At most D = ceil(n/3) - 1 are left out of the survivors,
 * chosen after it is known: survivors are a quorum of more than two thirds, and shares are given for one list only, which a
 * quorum signed. So H = n - C - D honest survivors remain, or more. A group has at most c corrupt neighbours.
 *
 * Claim: whatever is unmasked is one sum, over more than half of the honest survivors.
 * Say the aggregator learns the sum over a set S of s honest survivors, without T, the other t >= s. Then
 *   (1) no edge joins S and T: the mask of such a pair would stay on the sum;
 *   (2) each member of S was unmasked with `threshold` shares, at most c of them from corrupt neighbours and the rest from
 *       honest survivors, who are in S by (1): it has at least h = threshold - c neighbours in S, and s > h.
 * Let A be the adjacency matrix, k the degree, J all ones, and lambda the largest absolute eigenvalue of A other than k for the
 * vector of ones, so that |(A - k/n J) v|^2 <= lambda^2 |v - mean|^2 for all v. For v = 1 on S and 0 elsewhere this reads
 *       sum over all groups g of d(g)^2 - k^2 s^2 / n <= lambda^2 s (1 - s/n),     d(g): number of g's neighbours in S.
 * d is 0 on T; on S its mean is some x >= h; on the r = n - s - t others it has the remaining sum s (k - x), so
 *   (3) x^2 + s (k - x)^2 / r - k^2 s / n <= lambda^2 (1 - s/n).
 * Where the left side is smallest over x >= h, at max(h, k s / (r + s)), a lambda that breaks (3) for all s rules out S. Larger T
 * have smaller ones in them, so t = max(H - s, s) stands for all. (3) without (2) is the expander mixing lemma (Alon and Chung,
 * "Explicit construction of linear sized tolerant networks", 1988) for two sets that no edge joins.
 *
 * What is not claimed: T may be some groups that cannot be unmasked, for instance one whose honest neighbours are all said to
 * be gone. The sum then lacks them, though they are listed.
 * What is assumed: fewer than a third are corrupt, so that two quorums share an honest group; and no honest group of S
 * left out the mask of an honest neighbour in the list of sharers that the quorum signed. The graph cannot see to the latter:
 * whoever reveals a share of a survivor's self mask must know that this survivor masked by that very list.
 */

/** Degree and secret-sharing threshold of a round's graph. */
export interface GraphPlan {
  /** Neighbours of each group, at most 254: as many shares as GF(2^8) has points for. */
  readonly degree: number;
  /** Shares that rebuild a secret. */
  readonly threshold: number;
  /** Whether everybody is everybody's neighbour. */
  readonly complete: boolean;
  /** Largest absolute eigenvalue, besides the degree, of a graph that cannot be cut. */
  readonly mostEigenvalue: number;
}

const MOST_NEIGHBOURS = 254;
/** Over all groups of a round. 2^-40 is left to a server that tries 2^40 lists of participants for a weak beacon. */
const MOST_EXPOSED = 2 ** -80;
/** Over all groups of a round: a round lost in so many, if the assumed number of groups drops out. */
const MOST_UNDELIVERED = 2 ** -30;
/** A sparse graph that saves less than a quarter of the masks is not worth its assumptions. */
const SPARSE_SHARE = 3 / 4;
/** So few masks are quick anyway, and a majority of everybody withstands more corrupt groups than were assumed. */
const COMPLETE_UP_TO = 50;
/** So that 0.07 * 100 is 7; and what the certified eigenvalue stays below its bound by. */
const ROUNDING = 1e-9;
/** Random graphs have the eigenvalue that is asked for often enough with it: two of ten or more, by measurement. */
const ACCEPTANCE = 8;

/** How many groups there are, are corrupt, drop out by chance, or may be left out on purpose. */
interface Counts {
  readonly groups: number;
  readonly corrupt: number;
  readonly dropouts: number;
  readonly leftOut: number;
}

function countsOf(groups: number, { corruptShare, dropoutShare }: Assumptions): Counts {
  invariant(Number.isInteger(groups) && groups >= 2, `a graph of ${groups} groups`);
  invariant(corruptShare >= 0 && corruptShare < 1, `corrupt share ${corruptShare}`);
  invariant(dropoutShare >= 0 && dropoutShare < 1, `dropout share ${dropoutShare}`);
  return {
    groups,
    corrupt: Math.min(groups - 1, Math.ceil(corruptShare * groups - ROUNDING)),
    dropouts: Math.min(groups - 1, Math.floor(dropoutShare * groups + ROUNDING)),
    // All but a quorum, whatever share drops out by chance.
    leftOut: groups - quorumOf(groups),
  };
}

/** The largest eigenvalue under which no set of honest survivors can be cut off; `inside` is h above. */
function uncutEigenvalue({ groups, corrupt, leftOut }: Counts, degree: number, inside: number): number {
  const honest = groups - corrupt - leftOut;
  let least = degree ** 2;
  for (let s = inside + 1; 2 * s <= groups - corrupt; s++) {
    const others = Math.max(1, groups - s - Math.max(honest - s, s));
    const x = Math.max(inside, (degree * s) / (others + s));
    const spread = x ** 2 + (s * (degree - x) ** 2) / others - (degree ** 2 * s) / groups;
    least = Math.min(least, spread / (1 - s / groups));
  }
  return Math.sqrt(Math.max(0, least)) * (1 - ROUNDING);
}

/**
 * About the largest eigenvalue of a circulant graph with random offsets. There are n/2 different ones, each about normal with
 * variance k (1 - k/(n-1)); the largest of as many is near the root of 2 ln n deviations, a little less when the luck of a few
 * draws is used. The sum stands for ln(n/8): Math.log may differ between platforms.
 */
function typicalEigenvalue(groups: number, degree: number): number {
  let logarithm = 0;
  for (let i = ACCEPTANCE + 1; i <= groups; i++) logarithm += 1 / i;
  return Math.sqrt(2 * degree * (1 - degree / (groups - 1)) * logarithm);
}

/** The sparse graph of this degree, or null where none keeps all bounds. */
function sparsePlan(counts: Counts, degree: number): GraphPlan | null {
  const { groups, corrupt, dropouts } = counts;
  // Seen by a survivor: all dropouts are among the others. Seen by an honest group: so are all corrupt ones.
  const surviving = hypergeometric(groups - 1, groups - 1 - dropouts, degree);
  const threshold = lowerQuantile(surviving, MOST_UNDELIVERED / groups);
  const mostCorrupt = upperQuantile(hypergeometric(groups - 1, corrupt, degree), MOST_EXPOSED / groups);
  if (threshold <= mostCorrupt) return null;
  const mostEigenvalue = uncutEigenvalue(counts, degree, threshold - mostCorrupt);
  if (mostEigenvalue < typicalEigenvalue(groups, degree)) return null;
  return { degree, threshold, complete: false, mostEigenvalue };
}

/**
 * The graph for a round of `groups` groups (2 or more): the smallest even degree, with the largest threshold that lets
 * the dropouts be, under which, over all groups, (privacy) the corrupt neighbours of an honest group reach the threshold
 * with a chance of at most 2^-80; (delivery) fewer surviving neighbours than the threshold: 2^-30; (one piece) nobody who
 * picks the dropouts can cut honest survivors off, see above, in a graph that is found in a few draws. For up to 50 groups, and
 * up to 255 where that degree would be more than three quarters of everybody, the complete graph, which cannot be cut, with a
 * majority: private while fewer than `threshold` others are corrupt, delivered while at most `degree - threshold` groups drop
 * out. A pure function that costs a few milliseconds.
 * Null where more than 255 groups have no graph: under what callers assume, from about 1,800 groups on.
 */
export function findGraph(groups: number, assumptions: Assumptions): GraphPlan | null {
  const counts = countsOf(groups, assumptions);
  const others = groups - 1;
  const most = groups <= COMPLETE_UP_TO ? 0 : Math.min(MOST_NEIGHBOURS, Math.floor(others * SPARSE_SHARE));
  for (let degree = 2; degree <= most; degree += 2) {
    const plan = sparsePlan(counts, degree);
    if (plan !== null) return plan;
  }
  if (others > MOST_NEIGHBOURS) return null;
  return { degree: others, threshold: Math.floor(others / 2) + 1, complete: true, mostEigenvalue: 1 };
}

/** The same for a number of groups that is known to have a graph. */
export function planGraph(groups: number, assumptions: Assumptions): GraphPlan {
  const plan = findGraph(groups, assumptions);
  invariant(plan !== null, `no graph of ${groups} groups`);
  return plan;
}

/**
 * How many of the honest survivors of a round of `groups` an aggregator may leave out of the sum, in a sparse graph: sets without a
 * neighbour among the other honest survivors are not larger (expander mixing lemma, see above).
 */
export function mostLeftOut(
  groups: number,
  honest: number,
  { degree, complete, mostEigenvalue }: GraphPlan,
): number {
  if (complete) return 0;
  const gap = (mostEigenvalue / degree) ** 2;
  let largest = 0;
  for (let out = 1; out <= honest / 2; out++) {
    if ((honest - out) * out <= gap * (groups - honest + out) * (groups - out)) largest = out;
  }
  return largest;
}
