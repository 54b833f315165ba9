import { describe, expect, test } from 'vitest';
import { bytesFrom, hexOf } from '../../src/core/bytes.ts';
import {
  coefficientsOf,
  keyPairsOf,
  maskSecretOf,
  pairMaskKey,
  selfMaskKey,
  selfSecretOf,
} from '../../src/privacy/mask/keys.ts';
import { addMask } from '../../src/privacy/secure-sum/expand.ts';
import { sealKey } from '../../src/privacy/secure-sum/keys.ts';

import { freshSecret } from '../../src/wire/identity.ts';
import { Cast, namesOf, PARAMETERS, wordsInClear } from '../support/attacks.ts';
import { contextOf, updateOf } from '../support/protected-round.ts';

/**
 * An upload whose masks are known but for one, in clear but for what that one hides. A seed that is shorter than its key is found
 * by trying: an implementation in wide use has seeds of 28 bits. Ours come from an X25519 agreement and HKDF-SHA256: to find one
 * takes about 2^126 operations on the curve (Pollard's rho, for a group of about 2^252), or 2^256 tries of the self mask's
 * secret, or of the key of AES-256. Nothing shorter stands in between: that is what is tested here.
 */

const WEAK_BITS = 18;

/** A key of 32 bytes with few that matter. */
function keyOfSeed(seed: number): Uint8Array {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, seed, true);
  return key;
}

test(`a seed of ${WEAK_BITS} bits is found from the words that are known, and with it the update`, () => {
  const { settings, ring } = new Cast(namesOf(3));
  // Whoever tells no score has six words that are zero, behind the two of its weight.
  const update = updateOf(
    'g00',
    42,
    Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i)),
  );
  const clear = wordsInClear(update, settings);
  const masked = clear.slice();
  addMask(masked, keyOfSeed(0x1b1d5), 1);
  const known = masked.slice(0, 8);
  let found: number | null = null;
  for (let seed = 0; seed < 2 ** WEAK_BITS && found === null; seed++) {
    const tried = known.slice();
    addMask(tried, keyOfSeed(seed), -1);
    if (tried.subarray(2).every((word) => word === 0)) found = seed;
  }
  expect(found).not.toBeNull();
  addMask(masked, keyOfSeed(found!), -1);
  expect(ring.call({ settings } as Cast, masked)).toEqual(ring.call({ settings } as Cast, clear));
});

describe('ours', () => {
  const GROUPS = namesOf(4);

  /** All keys and secrets of two attempts, with what they are for. */
  function everyKey(): { name: string; value: Uint8Array }[] {
    const found: { name: string; value: Uint8Array }[] = [];
    for (const attempt of [1, 2]) {
      const context = contextOf(PARAMETERS, { attempt });
      // The same in both attempts: so that nothing but what keys are bound to keeps them apart.
      const secrets = new Map(GROUPS.map((name) => [name, new Uint8Array(32).fill(name.charCodeAt(2))]));
      const cast = new Cast(GROUPS, { context, secret: (name) => secrets.get(name)! });
      cast.share();
      for (const group of GROUPS) {
        const roster = cast.rosterOf(group);
        const secret = secrets.get(group)!;
        const pairs = keyPairsOf(secret, context);
        const add = (name: string, value: Uint8Array) =>
          found.push({ name: `${name} ${group} ${attempt}`, value });
        add('mask secret', maskSecretOf(secret, context));
        add('mask key', bytesFrom(pairs.mask.publicKey));
        add('cipher key', bytesFrom(pairs.cipher.publicKey));
        const self = selfSecretOf(secret, roster);
        add('self secret', self);
        add('self mask', selfMaskKey(self, roster, group));
        for (const what of ['self', 'mask'] as const)
          add(`coefficients ${what}`, coefficientsOf(secret, what, roster));
        for (const other of GROUPS.filter((name) => name !== group)) {
          if (group < other) add(`pair ${other}`, pairMaskKey(pairs.mask, roster, [group, other], other)!);
          add(`to ${other}`, sealKey(pairs.cipher, roster, { from: group, to: other }, other)!);
        }
      }
    }
    return found;
  }

  test('every secret and every key has 32 bytes', () => {
    const lengths = everyKey().map(({ name, value }) => [name, value.length]);
    expect(lengths.filter(([, length]) => length !== 32)).toEqual([]);
  });

  test('no two of them are the same, over purposes, groups, pairs, directions and attempts', () => {
    const keys = everyKey();
    expect(keys).toHaveLength(2 * (4 * (7 + 3) + 6));
    expect(new Set(keys.map(({ value }) => hexOf(value))).size).toBe(keys.length);
  });

  test('the two of a pair come to the same mask key, and one adds what the other takes off', () => {
    const cast = new Cast(GROUPS);
    cast.share();
    const [one, other] = ['g01', 'g02'].map((name) => cast.member(name).heard);
    expect(one!.pairKey('g02')).toEqual(other!.pairKey('g01'));
    expect(one!.pairKey('g02')).not.toEqual(one!.pairKey('g03'));
  });

  test('what an attempt draws has 256 bits, each of which is now 0 and now 1', () => {
    const drawn = Array.from({ length: 200 }, () => bytesFrom(freshSecret()));
    expect(new Set(drawn.map(hexOf)).size).toBe(200);
    for (let bit = 0; bit < 256; bit++) {
      const values = new Set(drawn.map((secret) => (secret[bit >> 3]! >> (bit & 7)) & 1));
      expect(values.size).toBe(2);
    }
  });

  test('a change of one bit of the secret changes every key', () => {
    const context = contextOf(PARAMETERS);
    const flipped = new Uint8Array(32);
    flipped[31] = 1;
    const [zero, one] = [new Uint8Array(32), flipped].map((secret) => keyPairsOf(secret, context));
    expect(zero!.mask.publicKey).not.toBe(one!.mask.publicKey);
    expect(zero!.cipher.publicKey).not.toBe(one!.cipher.publicKey);
  });
});
