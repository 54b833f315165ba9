import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../../src/core/random.ts';
import { largestEigenvalue } from '../../../src/privacy/mask/expansion.ts';
import { ASSUMED, type GraphPlan, neighboursOf, planGraph } from '../../../src/privacy/mask/graph.ts';
import { quorumOf } from '../../../src/wire/step.ts';

/** Neighbours by vertex. */
type Graph = readonly (readonly number[])[];

const beaconOf = (seed: string | number) => createHash('sha256').update(String(seed)).digest('hex');

function drawnGraph(count: number, plan: GraphPlan, seed: string): Graph {
  const groups = Array.from({ length: count }, (_, i) => `g${String(i).padStart(5, '0')}`);
  const graph = neighboursOf(groups, beaconOf(seed), plan);
  return groups.map((group) => graph.get(group)!.map((other) => Number(other.slice(1))));
}

const circulant = (count: number, offsets: readonly number[]): Graph =>
  Array.from({ length: count }, (_, at) =>
    offsets.flatMap((offset) => [(at + offset) % count, (at + count - offset) % count]),
  );

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** All eigenvalues of the adjacency matrix, largest first, by Jacobi's rotations. */
function eigenvaluesOf(graph: Graph): number[] {
  const n = graph.length;
  const a = graph.map(
    (others) => Array.from({ length: n }, (_, j) => (others.includes(j) ? 1 : 0)) as number[],
  );
  const rotate = (p: number, q: number): void => {
    if (Math.abs(a[p]![q]!) < 1e-15) return;
    const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
    const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
    const c = 1 / Math.hypot(t, 1);
    const turn = (x: number, y: number) => [c * x - t * c * y, t * c * x + c * y] as const;
    for (const row of a) [row[p], row[q]] = turn(row[p]!, row[q]!);
    for (let j = 0; j < n; j++) [a[p]![j], a[q]![j]] = turn(a[p]![j]!, a[q]![j]!);
  };
  for (let sweep = 0; sweep < 12; sweep++)
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(p, q);
  return a.map((row, i) => row[i]!).sort((x, y) => y - x);
}

const largestOf = (graph: Graph): number => {
  const [, ...others] = eigenvaluesOf(graph);
  return Math.max(...others.map(Math.abs));
};

describe('the largest eigenvalue', () => {
  test.each([
    [24, [1, 2, 3]],
    [24, [2, 4, 8]],
    [25, [1, 5, 7, 11]],
    [30, [14]],
    [31, [3, 8, 9, 15]],
  ])('of %d groups with offsets %j is that of the matrix', (count, offsets) => {
    expect(largestEigenvalue(count, offsets)).toBeCloseTo(largestOf(circulant(count, offsets)), 9);
  });

  test('of graphs with known ones', () => {
    // All others: -1. A square of a prime's residues (Paley, 1933): (1 + sqrt p) / 2.
    expect(largestEigenvalue(31, upTo(15))).toBeCloseTo(1, 12);
    const squares = new Set(upTo(100).map((i) => (i * i) % 101));
    const offsets = upTo(50).filter((i) => squares.has(i));
    expect(largestEigenvalue(101, offsets)).toBeCloseTo((1 + Math.sqrt(101)) / 2, 12);
    // In two pieces.
    expect(largestEigenvalue(30, [2, 4, 6])).toBeCloseTo(6, 12);
  });

  test('is the sum of cosines', () => {
    const random = randomStream(1, 'cosines');
    for (const count of [51, 100, 999, 1000]) {
      const offsets = random.shuffled(upTo(Math.floor((count - 1) / 2))).slice(0, 20);
      const most = Math.max(
        ...upTo(count - 1).map((j) =>
          Math.abs(
            offsets.reduce((sum, s) => sum + 2 * Math.cos((2 * Math.PI * ((j * s) % count)) / count), 0),
          ),
        ),
      );
      expect(largestEigenvalue(count, offsets)).toBeCloseTo(most, 11);
    }
  });

  test.each([51, 60])('of the graph of %d groups keeps to the plan', (count) => {
    const plan = planGraph(count, ASSUMED);
    for (const seed of ['a', 'b']) {
      const graph = drawnGraph(count, plan, seed);
      const [degree] = eigenvaluesOf(graph);
      expect(degree).toBeCloseTo(plan.degree, 9);
      expect(largestOf(graph)).toBeLessThanOrEqual(plan.mostEigenvalue + 1e-9);
    }
  });

  test.each([51, 60, 100, 200, 500, 1000, 1700])(
    'of random graphs of %d groups is within the plan for at least two of ten',
    (count) => {
      const { degree, mostEigenvalue } = planGraph(count, ASSUMED);
      const random = randomStream(2, 'acceptance', count);
      const draws = count > 500 ? 100 : 300;
      const accepted = upTo(draws).filter(() => {
        const offsets = random.shuffled(upTo(Math.floor((count - 1) / 2))).slice(0, degree / 2);
        return largestEigenvalue(count, offsets) <= mostEigenvalue;
      });
      expect(accepted.length / draws).toBeGreaterThan(0.2);
    },
  );
});

/**
 * An aggregator that sees the graph and picks who is gone, so as to unmask a set of honest groups by itself. All honest groups
 * next to the set must be gone; then each of the set needs `threshold` neighbours that are corrupt or in the set.
 */
class Cutter {
  readonly #graph: Graph;
  readonly #threshold: number;
  readonly #corrupt: ReadonlySet<number>;
  readonly #inside: Uint16Array;
  readonly #corruptNear: readonly number[];
  readonly #most: number;
  set = new Set<number>();

  constructor(graph: Graph, threshold: number, corrupt: ReadonlySet<number>) {
    this.#graph = graph;
    this.#threshold = threshold;
    this.#corrupt = corrupt;
    this.#inside = new Uint16Array(graph.length);
    this.#corruptNear = graph.map((others) => others.filter((other) => corrupt.has(other)).length);
    this.#most = graph.length - quorumOf(graph.length);
  }

  start(vertices: Iterable<number>): void {
    this.set = new Set();
    this.#inside.fill(0);
    for (const vertex of vertices) this.toggle(vertex);
  }

  toggle(vertex: number): void {
    const step = this.set.delete(vertex) ? -1 : 1;
    if (step === 1) this.set.add(vertex);
    for (const other of this.#graph[vertex]!) this.#inside[other]! += step;
  }

  honest(): number[] {
    return this.#graph.map((_, vertex) => vertex).filter((vertex) => !this.#corrupt.has(vertex));
  }

  /** Honest groups next to the set. */
  boundary(): number[] {
    return this.honest().filter((vertex) => this.#inside[vertex]! > 0 && !this.set.has(vertex));
  }

  /** How far the set is from being cut off: too many to be gone, and shares that are missing. 0: it is unmasked by itself. */
  excess(): number {
    let missing = 0;
    for (const vertex of this.set)
      missing += Math.max(0, this.#threshold - this.#inside[vertex]! - this.#corruptNear[vertex]!);
    return missing + Math.max(0, this.boundary().length - this.#most);
  }

  /** No more than half of the honest survivors. */
  isSmall(): boolean {
    return 2 * this.set.size <= this.honest().length - Math.min(this.#most, this.boundary().length);
  }

  /** The honest group beside the set with which the fewest more would have to be gone. */
  next(): number {
    const added = (vertex: number) =>
      this.#graph[vertex]!.filter(
        (other) => this.#inside[other] === 0 && !this.#corrupt.has(other) && !this.set.has(other),
      ).length;
    return this.boundary()
      .map((vertex) => ({ vertex, added: added(vertex) }))
      .reduce((best, one) => (one.added < best.added ? one : best)).vertex;
  }
}

/** The least excess of a search: sets that grow greedily from some starts, then exchanges in the best one. */
function leastExcess(
  cutter: Cutter,
  seed: string,
): { readonly excess: number; readonly set: ReadonlySet<number> } {
  const random = randomStream(3, seed);
  let best = { excess: Number.POSITIVE_INFINITY, set: new Set<number>() };
  const note = () => {
    const excess = cutter.excess();
    if (excess < best.excess && cutter.isSmall()) best = { excess, set: new Set(cutter.set) };
  };
  for (const vertex of random.shuffled(cutter.honest()).slice(0, 12)) {
    cutter.start([vertex]);
    while (cutter.isSmall() && cutter.boundary().length > 0) {
      note();
      cutter.toggle(cutter.next());
    }
  }
  cutter.start(best.set);
  for (let i = 0; i < 3000 && best.excess > 0; i++) {
    const before = cutter.excess();
    const beside = cutter.boundary();
    const moves = [[...cutter.set][random.below(cutter.set.size)]!, beside[random.below(beside.length)]!];
    for (const vertex of moves) cutter.toggle(vertex);
    if (cutter.excess() > before) for (const vertex of moves) cutter.toggle(vertex);
    note();
  }
  return best;
}

/** The honest survivors that can be reached from one of them. */
function reachable(graph: Graph, from: number, survivors: ReadonlySet<number>): Set<number> {
  const found = new Set([from]);
  for (const vertex of found) for (const other of graph[vertex]!) if (survivors.has(other)) found.add(other);
  return found;
}

describe('an aggregator that sees the graph before it says who is gone', () => {
  const corruptOf = (count: number) =>
    new Set(
      randomStream(4, 'corrupt', count)
        .shuffled(upTo(count))
        .slice(0, count / 10)
        .map((i) => i - 1),
    );

  test.each([200, 300])('unmasks a part of %d groups with neighbours 1 to degree/2 places away', (count) => {
    const { degree, threshold } = planGraph(count, ASSUMED);
    const graph = circulant(count, upTo(degree / 2));
    const corrupt = corruptOf(count);
    const cutter = new Cutter(graph, threshold, corrupt);
    const { excess, set } = leastExcess(cutter, 'consecutive');
    expect(excess).toBe(0);
    // It is a cut indeed: as many are left as sign, two parts of them share no mask, and all of one can be unmasked.
    cutter.start(set);
    const gone = new Set(cutter.boundary());
    const survivors = new Set(cutter.honest().filter((vertex) => !gone.has(vertex)));
    expect(survivors.size + corrupt.size).toBeGreaterThanOrEqual(quorumOf(count));
    const part = reachable(graph, [...set][0]!, survivors);
    expect(part.size).toBeLessThanOrEqual(survivors.size / 2);
    for (const vertex of part) {
      const shares = graph[vertex]!.filter((other) => part.has(other) || corrupt.has(other));
      expect(shares.length).toBeGreaterThanOrEqual(threshold);
    }
    // Which the eigenvalue tells.
    expect(largestEigenvalue(count, upTo(degree / 2))).toBeGreaterThan(
      planGraph(count, ASSUMED).mostEigenvalue,
    );
  });

  test.each([100, 200, 300])('does not with the graph of %d groups, by the same search', (count) => {
    const plan = planGraph(count, ASSUMED);
    const graph = drawnGraph(count, plan, 'cut');
    const { excess } = leastExcess(new Cutter(graph, plan.threshold, corruptOf(count)), 'drawn');
    expect(excess).toBeGreaterThan(count / 20);
  });
});
