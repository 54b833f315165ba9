import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { hexOf } from '../../../src/core/bytes.ts';
import { sha256 } from '../../../src/core/digest.ts';
import {
  addCiphertext,
  ciphertextBytes,
  emptySum,
  encrypt,
  isKeyOf,
  open,
  polynomialsFor,
} from '../../../src/privacy/seal/ciphertext.ts';
import { addInto, zeroElement } from '../../../src/privacy/seal/ring.ts';
import { uniformElement } from '../../../src/privacy/seal/sample.ts';
import { loadRing, type SealRing } from '../../../src/privacy/seal/seal-ring.ts';
import { joinElements, splitElement } from '../../../src/privacy/seal/shares.ts';
import { signedOf } from '../../../src/privacy/seal/slots.ts';
import { keyOf, numbersOf, planFor, SEED, same, sumOf, wordsFrom } from './helpers.ts';

let ring: SealRing;

beforeAll(async () => {
  ring = await loadRing();
});

/** Vectors whose sum is `target`: even parts, and what one group has more its neighbour has less. */
function partsOf(target: readonly number[], groups: number, ringBits: number): Uint32Array[] {
  const parts = Array.from({ length: groups }, (_, g) =>
    target.map((sum) => {
      const base = Math.floor(sum / groups);
      return base + (g < sum - base * groups ? 1 : 0);
    }),
  );
  const room = 2 ** (ringBits - 1) - Math.ceil(2 ** (ringBits - 1) / groups) - 1;
  for (let g = 0; g + 1 < groups; g += 2) {
    numbersOf(`parts ${groups} ${g}`, target.length).forEach((number, i) => {
      const moved = (number % (2 * room + 1)) - room;
      parts[g]![i]! += moved;
      parts[g + 1]![i]! -= moved;
    });
  }
  return parts.map(wordsFrom);
}

/** Any sum that a slot holds; the extremes are frequent, beside each other in one coefficient. */
function targetOf(name: string, count: number, ringBits: number): number[] {
  const limit = 2 ** (ringBits - 1);
  return Array.from(numbersOf(name, count), (number, i) => {
    if (i % 3 === 0) return [-limit, limit - 1, -1, 0][(number >>> 8) % 4]!;
    return (number % (2 * limit)) - limit;
  });
}

describe('sums', () => {
  test.each([
    [2, 23, 128, 8192 + 5],
    [10, 23, 128, 8192 + 5],
    [100, 23, 128, 8192],
    [2, 25, 2, 3],
    [10, 16, 4096, 5000],
    [10, 32, 65_536, 4096],
    [3, 17, 256, 8192],
    [5, 4, 128, 50_000],
  ])(
    'of %d vectors of random signed words come back exactly: %d bits, a plan for %d groups',
    (groups, ringBits, mostGroups, count) => {
      const plan = planFor(ringBits, mostGroups);
      const target = targetOf(`target ${groups} ${ringBits}`, count, ringBits);
      const vectors = partsOf(target, groups, ringBits);
      const { sum, secretSum } = sumOf(ring, plan, vectors);
      const words = open(ring, plan, { sum, secretSum, seed: SEED, words: count });
      expect(words !== null && same(words, wordsFrom(target))).toBe(true);
    },
  );

  test.each([
    ['the lowest', (limit: number) => [-limit]],
    ['the highest', (limit: number) => [limit - 1]],
    ['both in turn', (limit: number) => [-limit, limit - 1]],
    ['in turn the other way', (limit: number) => [limit - 1, -limit]],
  ])('extremes in every slot, of one and of two: %s', (_, extremes) => {
    const plan = planFor(23, 128);
    const values = extremes(2 ** 22);
    const target = Array.from({ length: 8192 }, (_, i) => values[i % values.length]!);
    for (const groups of [1, 2]) {
      const { sum, secretSum } = sumOf(ring, plan, partsOf(target, groups, 23));
      const words = open(ring, plan, { sum, secretSum, seed: SEED, words: target.length });
      expect(words !== null && same(words, wordsFrom(target))).toBe(true);
    }
  });

  test('of 1000 at the largest values, 26 bits: exact, and no further one is taken', () => {
    const plan = planFor(26, 1000);
    const limit = 2 ** 25;
    const each = [-Math.floor(limit / 1000), Math.floor((limit - 1) / 1000), 0, -1];
    const words = wordsFrom(Array.from({ length: 4096 }, (_, i) => each[i % 4]!));
    const sum = emptySum(plan, words.length);
    const secretSum = zeroElement();
    // 20 ciphertexts 50 times each: noise that adds up 50 times, and more than of 1000 different ones.
    for (let group = 0; group < 20; group++) {
      const secret = uniformElement(keyOf('many', group));
      const wire = encrypt(ring, plan, { words, secret, seed: SEED, noiseKey: keyOf('many noise', group) });
      for (let times = 0; times < 50; times++) {
        expect(addCiphertext(sum, wire, plan)).toBe(true);
        addInto(secretSum, secret);
      }
      if (group === 19) expect(() => addCiphertext(sum, wire, plan)).toThrow('invariant broken');
    }
    const opened = open(ring, plan, { sum, secretSum, seed: SEED, words: words.length });
    const expected = wordsFrom(Array.from({ length: 4096 }, (_, i) => 1000 * each[i % 4]!));
    expect(opened !== null && same(opened, expected)).toBe(true);
  });

  test('do not depend on the order, and are as large for many as for one', () => {
    const plan = planFor(23, 128);
    const wires = [1, 2, 3].map((group) =>
      encrypt(ring, plan, {
        words: wordsFrom([group, -group]),
        secret: uniformElement(keyOf('order', group)),
        seed: SEED,
        noiseKey: keyOf('order noise', group),
      }),
    );
    const [forward, backward] = [wires, wires.toReversed()].map((order) => {
      const sum = emptySum(plan, 2);
      for (const wire of order) addCiphertext(sum, wire, plan);
      return sum;
    });
    expect(forward).toEqual(backward);
    expect(forward!.hi.length).toBe(4096);
    expect(forward!.lo.length).toBe(4096);
  });
});

describe('a ciphertext', () => {
  const plan = planFor(23, 128);
  const words = wordsFrom(targetOf('one', 100, 23));
  const inputs = { words, secret: uniformElement(keyOf('one')), seed: SEED, noiseKey: keyOf('one noise') };

  test('has as many bytes as it says: whole polynomials', () => {
    for (const [count, polynomials] of [
      [0, 0],
      [1, 1],
      [8192, 1],
      [8193, 2],
      [1_048_576, 128],
    ] as const) {
      expect(polynomialsFor(plan, count)).toBe(polynomials);
      expect(ciphertextBytes(plan, count)).toBe(polynomials * 4096 * 7);
    }
    expect(encrypt(ring, plan, inputs).length).toBe(4096 * 7);
    expect(encrypt(ring, plan, { ...inputs, words: new Uint32Array(0) }).length).toBe(0);
  });

  test('is a function of its inputs, of all of them', () => {
    const wire = encrypt(ring, plan, inputs);
    expect(same(encrypt(ring, plan, inputs), wire)).toBe(true);
    const changes = [
      { words: wordsFrom(signedOf(words).map((word, i) => (i === 0 ? 0 : word))) },
      { secret: uniformElement(keyOf('two')) },
      { seed: keyOf('another seed') },
    ];
    for (const change of changes)
      expect(same(encrypt(ring, plan, { ...inputs, ...change }), wire)).toBe(false);
    // Noise is mostly below the seventh byte.
    const eight = { ...plan, bytes: 8 };
    const other = encrypt(ring, eight, { ...inputs, noiseKey: keyOf('two noise') });
    expect(same(encrypt(ring, eight, inputs), other)).toBe(false);
  });

  // Of this code; it changes where SEAL's order of roots, a sampler, or the layout on the wire does.
  test('a fixed one stays as it is', () => {
    const wire = encrypt(ring, plan, inputs);
    expect(hexOf(wire.subarray(0, 14))).toBe('7e4cdad82925409440194ea3147d');
    expect(sha256(wire)).toBe('e39bee0beec747e90bf68a24b9a56a737fb268cd9b698c6bb7a0c69b92ca389e');
  });

  test('no input is changed', () => {
    const before = [words, inputs.secret, inputs.seed, inputs.noiseKey].map((array) =>
      Array.from(array).join(),
    );
    encrypt(ring, plan, inputs);
    const after = [words, inputs.secret, inputs.seed, inputs.noiseKey].map((array) =>
      Array.from(array).join(),
    );
    expect(after).toEqual(before);
  });

  test('words beyond a slot, or a secret that is no element, break a promise', () => {
    for (const wrong of [2 ** 22, -(2 ** 22) - 1])
      expect(() => encrypt(ring, plan, { ...inputs, words: wordsFrom([0, wrong]) })).toThrow(
        'invariant broken',
      );
    const secret = zeroElement().fill(2 ** 32 - 1);
    expect(() => encrypt(ring, plan, { ...inputs, secret })).toThrow('invariant broken');
  });

  test('of another length is refused, and nothing is added', () => {
    const wire = encrypt(ring, plan, inputs);
    const sum = emptySum(plan, words.length);
    addCiphertext(sum, wire, plan);
    const before = Uint32Array.from(sum.lo);
    fc.assert(
      fc.property(fc.nat(2 * wire.length), (length) => {
        fc.pre(length !== wire.length);
        const mutated = new Uint8Array(length);
        mutated.set(wire.subarray(0, length));
        expect(addCiphertext(sum, mutated, plan)).toBe(false);
      }),
    );
    expect(sum.lo).toEqual(before);
    expect(sum.added).toBe(1);
  });

  test('at any offset of its buffer is the same', () => {
    const wire = encrypt(ring, plan, inputs);
    const around = new Uint8Array(wire.length + 5).fill(0xff);
    around.set(wire, 3);
    const [plain, shifted] = [wire, around.subarray(3, 3 + wire.length)].map((bytes) => {
      const sum = emptySum(plan, words.length);
      addCiphertext(sum, bytes, plan);
      return sum;
    });
    expect(shifted).toEqual(plain);
  });

  test('with changed bytes never gives anything but words or null', () => {
    const wire = encrypt(ring, plan, inputs);
    const outcomes = new Set<string>();
    const change = fc.tuple(fc.nat(wire.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(change, ([at, flip]) => {
        const mutated = Uint8Array.from(wire);
        mutated[at]! ^= flip;
        const sum = emptySum(plan, words.length);
        expect(addCiphertext(sum, mutated, plan)).toBe(true);
        const opened = open(ring, plan, { sum, secretSum: inputs.secret, seed: SEED, words: words.length });
        // A byte that says nothing about the plaintext may be any; others change at most the words of their coefficient, or show.
        const coefficient = Math.floor(at / 7);
        opened?.forEach((word, i) => {
          if (Math.floor(i / 2) !== coefficient) expect(word).toBe(words[i]);
        });
        outcomes.add(opened === null ? 'null' : same(opened, words) ? 'the same' : 'others');
      }),
      {
        numRuns: 100,
        // A quarter of a step at most, and half a step of 2^-46.
        examples: [[[6, 0xff]], [[5, 0b10]]],
      },
    );
    expect(outcomes.has('null')).toBe(true);
    expect(outcomes.has('the same')).toBe(true);
  });
});

describe('a wrong key', () => {
  const plan = planFor(23, 128);
  const count = 8192 + 1;
  const vectors = partsOf(targetOf('keys', count, 23), 3, 23);
  const groups = [0, 1, 2];
  const secrets = groups.map((group) => uniformElement(keyOf('keys', group, 'secret')));

  test('gives null: that of one, of all but one, of one too many, none, another', () => {
    const { sum, secretSum } = sumOf(ring, plan, vectors, 'keys');
    const wrong = (secret: Uint32Array, seed = SEED) => {
      expect(open(ring, plan, { sum, secretSum: secret, seed, words: count })).toBeNull();
      expect(isKeyOf(ring, plan, { sum, secretSum: secret, seed })).toBe(false);
    };
    const allButOne = Uint32Array.from(secrets[0]!);
    addInto(allButOne, secrets[1]!);
    const oneTooMany = Uint32Array.from(secretSum);
    addInto(oneTooMany, uniformElement(keyOf('too many')));
    for (const secret of [
      secrets[0]!,
      allButOne,
      oneTooMany,
      zeroElement(),
      uniformElement(keyOf('another')),
    ])
      wrong(secret);
    wrong(secretSum, keyOf('another seed'));
    expect(isKeyOf(ring, plan, { sum, secretSum, seed: SEED })).toBe(true);
    expect(open(ring, plan, { sum, secretSum, seed: SEED, words: count })).not.toBeNull();
  });

  test('joined from shares of the sum is right, and null where one share is another, by one residue', () => {
    const { sum } = sumOf(ring, plan, vectors, 'keys');
    const xs = [1, 2, 3, 4, 5];
    const split = secrets.map((secret, group) =>
      splitElement({ secret, threshold: 3, xs, key: keyOf('keys', group, 'shares') }),
    );
    // What each holder tells: the sum of the shares it holds.
    const told = xs.map((x, holder) => {
      const share = zeroElement();
      for (const shares of split) addInto(share, shares[holder]!);
      return { x, share };
    });
    const right = joinElements([told[4]!, told[0]!, told[2]!]);
    expect(open(ring, plan, { sum, secretSum: right, seed: SEED, words: count })).not.toBeNull();
    const changed = Uint32Array.from(told[0]!.share);
    changed[100] = changed[100] === 0 ? 1 : changed[100]! - 1;
    const wrong = joinElements([told[4]!, { x: 1, share: changed }, told[2]!]);
    expect(open(ring, plan, { sum, secretSum: wrong, seed: SEED, words: count })).toBeNull();
    expect(isKeyOf(ring, plan, { sum, secretSum: wrong, seed: SEED })).toBe(false);
    const tooFew = joinElements([told[4]!, told[0]!]);
    expect(isKeyOf(ring, plan, { sum, secretSum: tooFew, seed: SEED })).toBe(false);
  });

  test('is noticed in a later polynomial too', () => {
    const { sum, secretSum } = sumOf(ring, plan, vectors, 'keys');
    sum.lo[4096 + 77]! ^= 1 << 17; // 2^-47 of the circle: half a step.
    expect(isKeyOf(ring, plan, { sum, secretSum, seed: SEED })).toBe(true);
    expect(open(ring, plan, { sum, secretSum, seed: SEED, words: count })).toBeNull();
  });

  test('a sum of another number of words breaks a promise', () => {
    const { sum, secretSum } = sumOf(ring, plan, vectors, 'keys');
    expect(() => open(ring, plan, { sum, secretSum, seed: SEED, words: 8192 })).toThrow('invariant broken');
  });

  test('a sum of no words is opened with any', () => {
    const sum = emptySum(plan, 0);
    expect(open(ring, plan, { sum, secretSum: zeroElement(), seed: SEED, words: 0 })).toEqual(
      new Uint32Array(0),
    );
  });
});
