import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wrongAnswers } from '../../../src/privacy/seal/decode.ts';
import { inverseOf, reduce } from '../../../src/privacy/seal/modular.ts';
import { addInto, DEGREE, PRIMES, RESIDUES, type RingElement } from '../../../src/privacy/seal/ring.ts';
import { uniformElement } from '../../../src/privacy/seal/sample.ts';
import { type ElementShare, joinElements, splitElement } from '../../../src/privacy/seal/shares.ts';
import { keyOf, same } from './helpers.ts';

/** Answers on a polynomial of so many coefficients. */
function answersOf(xs: readonly number[], coefficients: number, name = 'answers'): ElementShare[] {
  const secret = uniformElement(keyOf(name, 'secret'));
  const shares = splitElement({ secret, threshold: coefficients, xs, key: keyOf(name, xs.length) });
  return xs.map((x, i) => ({ x, share: shares[i]! }));
}

const oneTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

type Lie = (share: RingElement, name: string) => RingElement;

/** Another element, off in all residues. */
const noise: Lie = (_share, name) => uniformElement(keyOf(name, 'noise'));

/** Off by so much in one residue. */
const offAt =
  (at: number, by = 1): Lie =>
  (share) => {
    const prime = PRIMES[Math.floor(at / DEGREE)]!;
    return share.map((residue, i) => (i === at ? (residue + by) % prime : residue));
  };

function withLies(answers: readonly ElementShare[], lies: ReadonlyMap<number, Lie>): ElementShare[] {
  return answers.map(({ x, share }) => ({ x, share: lies.get(x)?.(share, `liar ${x}`) ?? share }));
}

/** Numbers of answers, a threshold, and so many of them that lie, in any order. */
const cases = (mostWrong: (beyond: number) => { min: number; max: number }) =>
  fc
    .record({ xs: fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { minLength: 2, maxLength: 40 }) })
    .chain(({ xs }) => fc.record({ xs: fc.constant(xs), threshold: fc.integer({ min: 1, max: xs.length }) }))
    .filter(
      ({ xs, threshold }) => mostWrong(xs.length - threshold).min <= mostWrong(xs.length - threshold).max,
    )
    .chain(({ xs, threshold }) => {
      const { min, max } = mostWrong(xs.length - threshold);
      const liars = fc.shuffledSubarray(xs, { minLength: min, maxLength: max });
      return fc.record({ xs: fc.constant(xs), threshold: fc.constant(threshold), liars });
    });

const within = cases((beyond) => ({ min: 0, max: Math.floor(beyond / 2) }));
const beyond = cases((beyond) => ({ min: Math.floor(beyond / 2) + 1, max: beyond }));

const anyLie = fc.oneof(
  fc.constant(noise),
  fc
    .record({ at: fc.nat(RESIDUES - 1), by: fc.integer({ min: 1, max: 2 ** 20 }) })
    .map(({ at, by }) => offAt(at, by)),
);

const sorted = (xs: readonly number[] | null) => xs?.toSorted((a, b) => a - b);

describe('wrong answers', () => {
  test('as many as half of those beyond the threshold are found, whatever is wrong about them', () => {
    fc.assert(
      fc.property(
        within,
        fc.array(anyLie, { minLength: 20, maxLength: 20 }),
        ({ xs, threshold, liars }, lies) => {
          const lying = new Map(liars.map((x, i) => [x, lies[i]!]));
          const answers = withLies(answersOf(xs, threshold), lying);
          expect(sorted(wrongAnswers(answers, threshold))).toEqual(sorted(liars));
        },
      ),
      { numRuns: 80 },
    );
  });

  test('more of them that are noise leave no polynomial', () => {
    fc.assert(
      fc.property(beyond, ({ xs, threshold, liars }) => {
        const answers = withLies(answersOf(xs, threshold), new Map(liars.map((x) => [x, noise])));
        expect(wrongAnswers(answers, threshold)).toBeNull();
      }),
      { numRuns: 40 },
    );
  });

  test.each(PRIMES.map((prime, j) => [prime, j]))(
    'one residue modulo %d is enough to be found',
    (_prime, j) => {
      const answers = answersOf(oneTo(7), 3);
      for (const at of [j * DEGREE, (j + 1) * DEGREE - 1]) {
        const lies = new Map([
          [2, offAt(at)],
          [6, offAt(at, 77)],
        ]);
        expect(wrongAnswers(withLies(answers, lies), 3)).toEqual([2, 6]);
      }
    },
  );

  test('each wrong modulo another prime: the places count together', () => {
    const answers = answersOf(oneTo(8), 4);
    const lies = (xs: readonly number[]) => new Map(xs.map((x, j) => [x, offAt(j * DEGREE + 9)]));
    expect(wrongAnswers(withLies(answers, lies([3, 8])), 4)).toEqual([3, 8]);
    // Modulo each prime there is a polynomial that one is off; no two answers are all who are off.
    expect(wrongAnswers(withLies(answers, lies([3, 8, 1])), 4)).toBeNull();
  });

  test('what others answered is wrong from somebody else', () => {
    const answers = answersOf(oneTo(9), 5);
    const copied = answers.map(({ x, share }) => ({
      x,
      share: x === 4 || x === 7 ? answers[0]!.share : share,
    }));
    expect(wrongAnswers(copied, 5)).toEqual([4, 7]);
  });

  test('and right where the polynomial is constant', () => {
    const answers = answersOf(oneTo(5), 1);
    expect(same(answers[0]!.share, answers[4]!.share)).toBe(true);
    expect(wrongAnswers(answers, 1)).toEqual([]);
    expect(wrongAnswers(withLies(answers, new Map([[1, noise]])), 1)).toEqual([1]);
  });

  test('errors that cancel at 0 are found: two answers, each off by what the other makes up for', () => {
    const answers = answersOf(oneTo(8), 4);
    const of = (value: number) => new Uint32Array(RESIDUES).fill(value);
    // 4 and -6 are what the first two count in a choice of the first four.
    const moved = answers.map(({ x, share }) => {
      const wrong = share.slice();
      if (x <= 2) addInto(wrong, of(x === 1 ? 3 : 2));
      return { x, share: wrong };
    });
    expect(same(joinElements(moved.slice(0, 4)), joinElements(answers.slice(0, 4)))).toBe(true);
    expect(wrongAnswers(moved, 4)).toEqual([1, 2]);
  });

  test('of as many as the threshold none is ever wrong, and one more only says that one is', () => {
    const answers = withLies(answersOf(oneTo(5), 4), new Map([[2, noise]]));
    expect(wrongAnswers(answers.slice(0, 4), 4)).toEqual([]);
    expect(wrongAnswers(answers, 4)).toBeNull();
    expect(wrongAnswers(answers.toSpliced(1, 1), 4)).toEqual([]);
  });

  /** What no decoder can change: where enough lie together, their polynomial is the one that most are on. */
  test('more than can be told apart frame a right one, where they put themselves on a polynomial of others', () => {
    const answers = answersOf(oneTo(5), 3);
    const other = [...answers.slice(0, 2), { x: 3, share: noise(answers[2]!.share, 'other') }];
    const framed = answers.map(({ x, share }) => ({ x, share: x < 5 ? joinElements(other, x) : share }));
    expect(same(framed[1]!.share, answers[1]!.share)).toBe(true);
    expect(wrongAnswers(framed, 3)).toEqual([5]);
  });
});

/**
 * Words of a code in which all answers are multiples of one element, and all combinations the same word but for a factor. The closest
 * polynomials are then those of small numbers, found by trying all sets of answers.
 */
test('the same as by trying all sets, for every word of five answers that are small numbers', () => {
  const prime = PRIMES[0];
  const element = (value: number) => {
    const made = new Uint32Array(RESIDUES);
    made.fill(value, 0, DEGREE);
    return made;
  };
  const xs = oneTo(5);
  const onLine = (values: readonly number[], places: readonly number[]) => {
    const [a = 0, b = 1] = places;
    const slope = reduce((values[b]! - values[a]!) * inverseOf(b - a, prime), prime, 1 / prime);
    return places.every(
      (place) => reduce(values[a]! + slope * (place - a) - values[place]!, prime, 1 / prime) === 0,
    );
  };
  const expected = (values: readonly number[]) => {
    if (onLine(values, [0, 1, 2, 3, 4])) return [];
    const off = xs.filter((x) =>
      onLine(
        values,
        [0, 1, 2, 3, 4].filter((place) => place + 1 !== x),
      ),
    );
    return off.length === 0 ? null : off;
  };
  const elements = [0, 1, 2].map(element);
  for (let word = 0; word < 3 ** 5; word++) {
    const values = xs.map((x) => Math.floor(word / 3 ** (x - 1)) % 3);
    const answers = xs.map((x, i) => ({ x, share: elements[values[i]!]! }));
    expect([values, wrongAnswers(answers, 2)]).toEqual([values, expected(values)]);
  }
});

describe('255 answers', () => {
  // Of a threshold that no more coefficients are needed for: to make shares of 128 of them takes seconds.
  const answers = answersOf(oneTo(255), 3);

  test.each([
    [128, 63],
    [129, 63],
    [3, 126],
    [85, 85],
  ])('threshold %d: %d wrong are found, one more is too many', (threshold, most) => {
    const liars = oneTo(255).filter((x) => (x * 7) % 255 < most + 1);
    const lies = new Map(liars.map((x) => [x, noise]));
    expect(liars).toHaveLength(most + 1);
    expect(wrongAnswers(withLies(answers, lies), threshold)).toBeNull();
    lies.delete(liars[5]!);
    expect(wrongAnswers(withLies(answers, lies), threshold)).toEqual(liars.toSpliced(5, 1));
  });
});

describe('what callers must keep to', () => {
  const answers = answersOf(oneTo(3), 2);

  test.each([
    ['a threshold of 0', answers, 0],
    ['half a threshold', answers, 1.5],
    ['a threshold above the number of answers', answers, 4],
    ['a number twice', [...answers, answers[0]!], 2],
    ['a short answer', [...answers, { x: 4, share: new Uint32Array(RESIDUES - 1) }], 2],
  ])('%s breaks a promise', (_, given, threshold) => {
    expect(() => wrongAnswers(given, threshold)).toThrow('invariant broken');
  });
});
