import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ASSUMED,
  type Assumptions,
  findGraph,
  type GraphPlan,
  neighboursOf,
  planGraph,
} from '../../../src/privacy/mask/graph.ts';
import { quorumOf } from '../../../src/wire/step.ts';

const beaconOf = (seed: string | number) => createHash('sha256').update(String(seed)).digest('hex');
const names = (count: number) => Array.from({ length: count }, (_, i) => `g${String(i).padStart(5, '0')}`);

/** C(of, 0), C(of, 1), ... C(of, most), exactly. */
function binomials(of: number, most: number): bigint[] {
  const row = [1n];
  for (let i = 0; i < most; i++) row.push((row[i]! * BigInt(Math.max(0, of - i))) / BigInt(i + 1));
  return row;
}

/** A probability as a fraction of whole numbers. */
type Fraction = readonly [over: bigint, under: bigint];

/** P[from <= marked among the drawn < to], exactly. */
function hypergeometric(
  population: number,
  marked: number,
  drawn: number,
  from: number,
  to: number,
): Fraction {
  const hits = binomials(marked, drawn);
  const misses = binomials(population - marked, drawn);
  let ways = 0n;
  for (let x = Math.max(0, from); x < to && x <= drawn; x++) ways += hits[x]! * misses[drawn - x]!;
  return [ways, binomials(population, drawn)[drawn]!];
}

const times = (count: number, [over, under]: Fraction): Fraction => [BigInt(count) * over, under];
/** Whether a fraction is at most 2^-bits. */
const within = ([over, under]: Fraction, bits: number) => over << BigInt(bits) <= under;
const decimalOf = ([over, under]: Fraction) => Number((over * 10n ** 12n) / under) / 1e12;

function countsOf(groups: number, { corruptShare, dropoutShare }: Assumptions) {
  const corrupt = Math.ceil(corruptShare * groups - 1e-9);
  return { corrupt, dropouts: Math.floor(dropoutShare * groups + 1e-9) };
}

function claims(groups: number, assumed: Assumptions, { degree, threshold, mostEigenvalue }: GraphPlan) {
  const { corrupt, dropouts } = countsOf(groups, assumed);
  const others = groups - 1;
  return {
    privacy: within(times(groups, hypergeometric(others, corrupt, degree, threshold, degree + 1)), 80),
    delivery: within(times(groups, hypergeometric(others, others - dropouts, degree, 0, threshold)), 30),
    onePiece: mostEigenvalue ** 2 <= leastCutSquare(groups, corrupt, { degree, threshold }),
  };
}

/** The most corrupt neighbours of any group, but for a chance of 2^-80. */
function mostCorruptOf(groups: number, corrupt: number, degree: number): number {
  let most = degree;
  while (within(times(groups, hypergeometric(groups - 1, corrupt, degree, most, degree + 1)), 80)) most--;
  return most;
}

/**
 * The smallest squared eigenvalue of a graph in which honest survivors, up to half of them, could be cut off from the others
 * and unmasked: over all their numbers s, and all means x of neighbours among themselves, the squared length of the vector of
 * everybody's neighbours in that set, minus its own mean, over the squared length of the set's indicator, minus its mean.
 */
function leastCutSquare(
  groups: number,
  corrupt: number,
  { degree, threshold }: Pick<GraphPlan, 'degree' | 'threshold'>,
): number {
  const inside = threshold - mostCorruptOf(groups, corrupt, degree);
  let least = degree ** 2;
  for (let survivors = quorumOf(groups) - corrupt; survivors <= groups - corrupt; survivors++) {
    for (let s = inside + 1; 2 * s <= survivors; s++) {
      const mean = (degree * s) / groups;
      const indicator = s * (1 - s / groups) ** 2 + (groups - s) * (s / groups) ** 2;
      const outside = groups - survivors;
      for (let x = inside; x <= degree; x++) {
        const each = outside === 0 ? 0 : (s * (degree - x)) / outside;
        const length = s * (x - mean) ** 2 + (survivors - s) * mean ** 2 + outside * (each - mean) ** 2;
        least = Math.min(least, length / indicator);
      }
    }
    // Fewer dropouts make it harder: a look at the two next counts is enough for large rounds.
    if (groups > 100 && survivors > quorumOf(groups) - corrupt + 1) break;
  }
  return least;
}

/** The same plan with a larger threshold. */
const raised = (plan: GraphPlan): GraphPlan => ({ ...plan, threshold: plan.threshold + 1 });

const HARSHER: Assumptions = { corruptShare: 0.2, dropoutShare: 0.2 };
const MILDER: Assumptions = { corruptShare: 0.1, dropoutShare: 0.1 };
const STEADY: Assumptions = { corruptShare: 1 / 3, dropoutShare: 0.05 };

describe('the plan of a graph', () => {
  test.each([
    [2, 1, 1],
    [3, 2, 2],
    [5, 4, 3],
    [10, 9, 5],
    [40, 39, 20],
    [50, 49, 25],
  ])('for %d groups is complete, with a majority', (groups, degree, threshold) => {
    expect(planGraph(groups, ASSUMED)).toEqual({ degree, threshold, complete: true, mostEigenvalue: 1 });
  });

  test.each([
    [51, 26, 9, 7.4377],
    [60, 30, 10, 9.0453],
    [100, 46, 16, 12.6202],
    [200, 76, 29, 18.1855],
    [500, 146, 64, 29.8608],
    [1000, 204, 93, 39.6289],
    [1700, 250, 116, 47.8304],
  ])('for %d groups is sparse', (groups, degree, threshold, mostEigenvalue) => {
    const plan = planGraph(groups, ASSUMED);
    expect(plan).toMatchObject({ degree, threshold, complete: false });
    expect(plan.mostEigenvalue).toBeCloseTo(mostEigenvalue, 3);
  });

  const sparse = [51, 60, 61, 100, 255, 256, 500].flatMap((groups) =>
    [ASSUMED, MILDER, HARSHER, STEADY].map((assumed) => ({ groups, ...assumed })),
  );
  test.each([...sparse, { groups: 1700, ...ASSUMED }, { groups: 5000, ...MILDER }])(
    'keeps its promises in exact arithmetic, and no larger threshold would: $groups groups, $corruptShare corrupt, $dropoutShare gone',
    ({ groups, ...assumed }) => {
      const plan = planGraph(groups, assumed);
      expect(plan.complete).toBe(false);
      expect(claims(groups, assumed, plan)).toEqual({ privacy: true, delivery: true, onePiece: true });
      expect(plan.threshold < plan.degree && claims(groups, assumed, raised(plan)).delivery).toBe(false);
    },
  );

  test.each([60, 100, 150])(
    'for %d groups is the smallest even degree that leaves room for random graphs',
    (groups) => {
      const plan = planGraph(groups, ASSUMED);
      const { corrupt } = countsOf(groups, ASSUMED);
      const hasRoom = (degree: number): boolean => {
        let least: GraphPlan = { degree, threshold: 1, complete: false, mostEigenvalue: 0 };
        while (claims(groups, ASSUMED, raised(least)).delivery) least = raised(least);
        if (!claims(groups, ASSUMED, least).privacy) return false;
        const typical = 2 * degree * (1 - degree / (groups - 1)) * Math.log(groups / 8);
        return leastCutSquare(groups, corrupt, least) >= typical;
      };
      for (let degree = 2; degree < plan.degree; degree += 2)
        expect(hasRoom(degree), `${degree}`).toBe(false);
      expect(hasRoom(plan.degree)).toBe(true);
    },
  );

  test('a share that is a whole number of groups counts as that number', () => {
    // 0.07 * 100 is 7.000000000000001.
    const counted = planGraph(100, { corruptShare: 7 / 100, dropoutShare: 0.29 });
    expect(planGraph(100, { corruptShare: 0.07, dropoutShare: 0.29 })).toEqual(counted);
    expect(claims(100, { corruptShare: 0.07, dropoutShare: 0.29 }, counted).privacy).toBe(true);
  });

  test('with all others as neighbours where a sparse graph would take most of them', () => {
    expect(planGraph(200, { corruptShare: 0.4, dropoutShare: 0.4 })).toEqual({
      degree: 199,
      threshold: 100,
      complete: true,
      mostEigenvalue: 1,
    });
  });

  test.each([
    [1000, { corruptShare: 0.4, dropoutShare: 0.4 }],
    [2000, ASSUMED],
  ])('%d groups under %j are too many for any', (groups, assumed) => {
    expect(findGraph(groups, assumed)).toBeNull();
    expect(() => planGraph(groups, assumed)).toThrow('invariant broken');
  });

  test.each([3, 100, 300])('of %d groups is the same where nobody knows that there is one', (groups) => {
    expect(findGraph(groups, ASSUMED)).toEqual(planGraph(groups, ASSUMED));
  });

  test.each([
    [1, ASSUMED],
    [2.5, ASSUMED],
    [100, { corruptShare: 1, dropoutShare: 0 }],
    [100, { corruptShare: 0, dropoutShare: -0.1 }],
    [100, { corruptShare: Number.NaN, dropoutShare: 0 }],
  ])('of %d groups under %j is nothing to ask for', (groups, assumed) => {
    expect(() => findGraph(groups, assumed)).toThrow('invariant broken');
  });
});

describe('a peer', () => {
  /** The bound for two runs of degree/2 lost vertices, exactly. */
  function cutBound(groups: number, lost: number, degree: number): Fraction {
    const ways = binomials(lost, degree)[degree]!;
    return [BigInt((groups * (groups - degree - 1)) / 2) * ways, binomials(groups, degree)[degree]!];
  }

  /**
   * What google-parfait/federated-compute expects of itself (fcp/secagg/server/graph_parameter_finder_test.cc, honest but
   * curious server): groups, corrupt, gone, degree, threshold at most. It draws neighbours from all groups, bounds privacy
   * and connectivity by 2^-41 each and delivery by 2^-20, and takes the smallest threshold.
   */
  test.each([
    [100, 0.05, 0.33, 28, 6],
    [1000, 0.05, 0.33, 72, 24],
    [10_000, 0.05, 0.33, 86, 29],
    [100, 0.33, 0.05, 34, 29],
    [1000, 0.33, 0.05, 78, 60],
    [10_000, 0.33, 0.05, 92, 70],
    [100, 0.33, 0.33, 68, 34],
  ])(
    'its figures for %d groups, %d corrupt, %d gone, come out of the exact sums of these tests',
    (groups, corruptShare, dropoutShare, degree, most) => {
      const corrupt = Math.floor(corruptShare * groups + 1e-9);
      const dropouts = Math.floor(dropoutShare * groups + 1e-9);
      const smallestThreshold = (drawn: number): number | null => {
        if (!within(cutBound(groups, corrupt + dropouts, drawn), 41)) return null;
        const exposed = (t: number) => times(groups, hypergeometric(groups, corrupt, drawn, t, drawn + 1));
        const lost = (t: number) => times(groups, hypergeometric(groups, groups - dropouts, drawn, 0, t));
        let threshold = 1;
        while (threshold <= drawn && !within(exposed(threshold), 41)) threshold++;
        return threshold <= drawn && within(lost(threshold), 20) ? threshold : null;
      };
      expect(smallestThreshold(degree - 2)).toBeNull();
      const threshold = smallestThreshold(degree);
      expect(threshold).not.toBeNull();
      expect(threshold).toBeLessThanOrEqual(most);
    },
  );
});

/** A plan that takes a graph of this degree with eigenvalues up to `mostEigenvalue`. */
const toyPlan = (degree: number, mostEigenvalue = degree): GraphPlan => ({
  degree,
  threshold: 1,
  complete: false,
  mostEigenvalue,
});

/** The circle of an odd number of groups: two neighbours each, and an eigenvalue below 2, so that it is in one piece. */
function circleOf(groups: readonly string[], beacon: string): string[] {
  const graph = neighboursOf(groups, beacon, toyPlan(2, 1.999));
  const circle = [groups[0]!];
  while (circle.length < groups.length)
    circle.push(graph.get(circle.at(-1)!)!.find((next) => next !== circle.at(-2) && next !== circle[0])!);
  return circle;
}

describe('the neighbours', () => {
  const graphs = fc
    .record({
      groups: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 40 }),
      half: fc.nat(),
      seed: fc.nat(),
    })
    .map(({ groups, half, seed }) => {
      const others = groups.length - 1;
      const even = 2 * (half % (Math.floor(others / 2) + 1));
      const plan = toyPlan(even === 0 ? others : even);
      return { groups: groups.sort(), plan, beacon: beaconOf(seed) };
    });

  test('are as many for each, mutual, in code-unit order, and nobody is their own', () => {
    fc.assert(
      fc.property(graphs, ({ groups, plan, beacon }) => {
        const graph = neighboursOf(groups, beacon, plan);
        expect([...graph.keys()].sort()).toEqual(groups);
        for (const [group, neighbours] of graph) {
          expect(new Set(neighbours).size).toBe(plan.degree);
          expect(neighbours).toEqual([...neighbours].sort());
          expect(neighbours).not.toContain(group);
          for (const neighbour of neighbours) expect(graph.get(neighbour)).toContain(group);
        }
        expect(neighboursOf(groups, beacon, plan)).toEqual(graph);
      }),
      { numRuns: 150 },
    );
  });

  test('are all others when the degree is theirs', () => {
    for (const count of [2, 3, 4, 9]) {
      const groups = names(count);
      for (const [group, neighbours] of neighboursOf(groups, beaconOf(1), toyPlan(count - 1)))
        expect(neighbours).toEqual(groups.filter((other) => other !== group));
    }
  });

  // By a program in Python that was written from the description.
  test('of eleven groups under SHA-256("beacon")', () => {
    const groups = ['g0', 'g1', 'g10', 'g2', 'g3', 'g4', 'g5', 'g6', 'g7', 'g8', 'g9'];
    const graph = neighboursOf(groups, beaconOf('beacon'), toyPlan(4, 2.6));
    expect(Object.fromEntries([...graph].map(([group, others]) => [group, others.join(' ')]))).toEqual({
      g0: 'g1 g4 g6 g8',
      g1: 'g0 g10 g2 g8',
      g10: 'g1 g2 g8 g9',
      g2: 'g1 g10 g7 g9',
      g3: 'g4 g5 g6 g7',
      g4: 'g0 g3 g5 g6',
      g5: 'g3 g4 g7 g9',
      g6: 'g0 g3 g4 g8',
      g7: 'g2 g3 g5 g9',
      g8: 'g0 g1 g10 g6',
      g9: 'g10 g2 g5 g7',
    });
  });

  test('of a thousand groups under the same beacon, whose first draw is refused, as a digest by the same program', () => {
    const groups = Array.from({ length: 1000 }, (_, i) => `g${String(i).padStart(4, '0')}`);
    const graph = neighboursOf(groups, beaconOf('beacon'), planGraph(1000, ASSUMED));
    const text = groups.map((group) => `${group}:${graph.get(group)!.join(',')}`).join('\n');
    expect(createHash('sha256').update(text).digest('hex')).toBe(
      'c7707b25c9a006f0f307e5650539bfd8d074b8540772f9d0a360a202801f8525',
    );
  });

  test('differ under different beacons', () => {
    const circles = new Set(Array.from({ length: 200 }, (_, i) => circleOf(names(13), beaconOf(i)).join()));
    expect(circles.size).toBe(200);
  });

  test('all circles of five groups are as likely', () => {
    const draws = 6000;
    const seen = new Map<string, number>();
    for (let i = 0; i < draws; i++) {
      const circle = circleOf(names(5), beaconOf(`uniform ${i}`));
      // Starts at the first group; the walk may go either way.
      const way = circle[1]! < circle[4]! ? circle : [circle[0]!, ...circle.slice(1).reverse()];
      seen.set(way.join(), (seen.get(way.join()) ?? 0) + 1);
    }
    expect(seen.size).toBe(12);
    const chiSquare = [...seen.values()].reduce(
      (sum, count) => sum + (count - draws / 12) ** 2 / (draws / 12),
      0,
    );
    // 11 degrees of freedom: above 47 in one of 500,000 samples.
    expect(chiSquare).toBeLessThan(47);
  });

  test.each([
    ['unordered groups', ['b', 'a', 'c'], beaconOf(0), 2],
    ['a group twice', ['a', 'a', 'c'], beaconOf(0), 2],
    ['a short beacon', ['a', 'b', 'c'], 'ab', 2],
    ['a beacon in capitals', ['a', 'b', 'c'], 'AB'.repeat(32), 2],
    ['an odd degree', names(9), beaconOf(0), 3],
    ['more than all others', names(9), beaconOf(0), 10],
    ['no neighbours', names(9), beaconOf(0), 0],
  ])('%s break a promise', (_, groups, beacon, degree) => {
    expect(() => neighboursOf(groups, beacon, toyPlan(degree))).toThrow('invariant broken');
  });
});

describe('chance', () => {
  test('corrupt neighbours are as many as drawing without replacement gives', () => {
    const draws = 1500;
    const groups = names(60);
    const plan = planGraph(60, ASSUMED);
    const corrupt = new Set(groups.slice(0, 6));
    const seen = new Array<number>(7).fill(0);
    for (let i = 0; i < draws; i++) {
      const neighbours = neighboursOf(groups, beaconOf(`corrupt ${i}`), plan).get('g00030')!;
      seen[neighbours.filter((group) => corrupt.has(group)).length]!++;
    }
    const chiSquare = seen.reduce((sum, count, x) => {
      const expected = draws * decimalOf(hypergeometric(59, 6, plan.degree, x, x + 1));
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    // 6 degrees of freedom: above 38 in one of a million samples.
    expect(chiSquare).toBeLessThan(38);
  });

  test('all others, and all pairs of others, are as likely to be neighbours', () => {
    const draws = 3000;
    const groups = names(51);
    const plan = planGraph(51, ASSUMED);
    const single = new Map<string, number>();
    const pairs = new Map<string, number>();
    for (let i = 0; i < draws; i++) {
      const others = neighboursOf(groups, beaconOf(`even ${i}`), plan).get('g00007')!;
      for (const [at, other] of others.entries()) {
        single.set(other, (single.get(other) ?? 0) + 1);
        const next = others[(at + 1) % others.length]!;
        pairs.set(`${other} ${next}`, (pairs.get(`${other} ${next}`) ?? 0) + 1);
      }
    }
    const share = plan.degree / 50;
    // The counts add up to draws * degree: 49 degrees of freedom, below 15 or above 110 in less than one of a million samples.
    const chiSquare = [...single.values()].reduce(
      (sum, count) => sum + (count - draws * share) ** 2 / (draws * share * (1 - share)),
      0,
    );
    expect(single.size).toBe(50);
    expect((chiSquare * 49) / 50).toBeLessThan(110);
    expect((chiSquare * 49) / 50).toBeGreaterThan(15);
    // Two that follow each other in code-unit order are both drawn with the chance of any two.
    const both = (share * (plan.degree - 1)) / 49;
    for (let i = 0; i < 50; i++) {
      const [one, next] = [groups[i]!, groups[i + 1]!];
      if (i === 6 || i === 7) continue;
      const deviation = Math.sqrt(draws * both * (1 - both));
      expect(Math.abs(pairs.get(`${one} ${next}`)! - draws * both)).toBeLessThan(5 * deviation);
    }
  });
});
