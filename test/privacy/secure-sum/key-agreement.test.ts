import { createHmac } from 'node:crypto';
import { x25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/curves/utils.js';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, test } from 'vitest';
import { deriveKey, keyPairOf, publicOf } from '../../../src/privacy/secure-sum/key-agreement.ts';

const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('X25519', () => {
  // RFC 7748, section 5.2.
  test.each([
    {
      scalar: 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
      u: 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
      result: 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    },
    {
      scalar: '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
      u: 'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
      result: '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    },
  ])('the vector of RFC 7748 for $u', ({ scalar, u, result }) => {
    expect(hex(keyPairOf(hexToBytes(scalar)).agree(u))).toBe(result);
  });

  test('the iterated vectors of RFC 7748, section 5.2', () => {
    const after = new Map<number, string>();
    let k = `09${'00'.repeat(31)}`;
    let u = k;
    for (let i = 1; i <= 1000; i++) {
      [k, u] = [hex(keyPairOf(hexToBytes(k)).agree(u))!, k];
      after.set(i, k);
    }
    expect(after.get(1)).toBe('422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
    expect(after.get(1000)).toBe('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  test('Alice and Bob of RFC 7748, section 6.1', () => {
    const aliceSecret = '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a';
    const alice = keyPairOf(hexToBytes(aliceSecret));
    const bob = keyPairOf(hexToBytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
    expect(alice.publicKey).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    expect(bob.publicKey).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(hex(alice.agree(bob.publicKey))).toBe(shared);
    expect(hex(bob.agree(alice.publicKey))).toBe(shared);
    expect(publicOf(hexToBytes(aliceSecret))).toBe(alice.publicKey);
  });

  test('comes to the same as @noble/curves and tweetnacl, for any secrets', () => {
    fc.assert(
      fc.property(secrets, secrets, (a, b) => {
        const alice = keyPairOf(a);
        const bob = keyPairOf(b);
        expect(alice.publicKey).toBe(hex(x25519.getPublicKey(a)));
        expect(alice.publicKey).toBe(hex(nacl.scalarMult.base(a)));
        expect(publicOf(a)).toBe(alice.publicKey);
        const shared = hex(alice.agree(bob.publicKey));
        expect(shared).toBe(hex(bob.agree(alice.publicKey)));
        expect(shared).toBe(hex(x25519.getSharedSecret(a, hexToBytes(bob.publicKey))));
        expect(shared).toBe(hex(nacl.scalarMult(a, hexToBytes(bob.publicKey))));
      }),
      { numRuns: 25 },
    );
  });

  test('any 32 bytes as their key: the same as tweetnacl, or null where that comes to zero', () => {
    fc.assert(
      fc.property(secrets, secrets, (secret, point) => {
        const theirs = hex(nacl.scalarMult(secret, point));
        const expected = theirs === '00'.repeat(32) ? null : theirs;
        expect(hex(keyPairOf(secret).agree(hex(point)!))).toBe(expected);
      }),
      { numRuns: 25 },
    );
  });

  test('a key of small order, on the curve or its twist, in every encoding, comes to nothing', () => {
    const prime = 2n ** 255n - 19n;
    const orderEight = [
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    ].map((text) => BigInt(`0x${Buffer.from(text, 'hex').reverse().toString('hex')}`));
    const canonical = [0n, 1n, prime - 1n, ...orderEight];
    const below = canonical.flatMap((u) => (u + prime < 2n ** 255n ? [u, u + prime] : [u]));
    const all = below.flatMap((u) => [u, u | (1n << 255n)]);
    expect(all).toHaveLength(14);
    const pair = keyPairOf(new Uint8Array(32).fill(0x5a));
    for (const u of all) {
      const key = Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse();
      expect(hex(nacl.scalarMult(new Uint8Array(32).fill(0x5a), key))).toBe('00'.repeat(32));
      expect(pair.agree(key.toString('hex')), key.toString('hex')).toBeNull();
    }
  });

  test.each(['', 'xyz', '09'.repeat(31), '09'.repeat(33), 'AB'.repeat(32), `${'09'.repeat(32)}\n`])(
    '%j is no key',
    (text) => {
      expect(keyPairOf(new Uint8Array(32).fill(1)).agree(text)).toBeNull();
    },
  );

  test.each([0, 31, 33])('a secret of %d bytes breaks a promise', (length) => {
    expect(() => keyPairOf(new Uint8Array(length))).toThrow('invariant broken');
    expect(() => publicOf(new Uint8Array(length))).toThrow('invariant broken');
  });
});

/** RFC 5869, section 2, step by step. */
function hkdf(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const extracted = createHmac('sha256', salt).update(key).digest();
  const blocks: Uint8Array[] = [];
  for (let i = 1; 32 * blocks.length < length; i++) {
    const hmac = createHmac('sha256', extracted).update(blocks.at(-1) ?? new Uint8Array(0));
    blocks.push(hmac.update(info).update(Uint8Array.of(i)).digest());
  }
  return new Uint8Array(Buffer.concat(blocks).subarray(0, length));
}

const run = (from: number, to: number) => Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('keys from an agreement', () => {
  // RFC 5869, appendix A.1 to A.3.
  test.each([
    {
      key: new Uint8Array(22).fill(0x0b),
      salt: run(0x00, 0x0c),
      info: run(0xf0, 0xf9),
      expected: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    },
    {
      key: run(0x00, 0x4f),
      salt: run(0x60, 0xaf),
      info: run(0xb0, 0xff),
      expected:
        'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    },
    {
      key: new Uint8Array(22).fill(0x0b),
      salt: new Uint8Array(0),
      info: new Uint8Array(0),
      expected: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    },
  ])('the steps of these tests give the vector of RFC 5869 $expected', ({ key, salt, info, expected }) => {
    expect(hex(hkdf(key, salt, info, expected.length / 2))).toBe(expected);
  });

  test('are those steps under the salt of the protocol, for text and bytes, of any length', () => {
    fc.assert(
      fc.property(
        secrets,
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.integer({ min: 1, max: 4000 }),
        (shared, info, length) => {
          const bytes = Buffer.from(info, 'utf8');
          const expected = hkdf(shared, Buffer.from('pluralllm-mask-v1'), bytes, length);
          expect(hex(deriveKey(shared, info, length))).toBe(hex(expected));
          expect(hex(deriveKey(shared, bytes, length))).toBe(hex(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('are 32 bytes unless asked otherwise, and differ by purpose', () => {
    const shared = new Uint8Array(32).fill(3);
    expect(deriveKey(shared, 'a')).toHaveLength(32);
    expect(hex(deriveKey(shared, 'a'))).not.toBe(hex(deriveKey(shared, 'b')));
    expect(deriveKey(shared, 'a', 0)).toHaveLength(0);
  });

  test('a purpose of more than 1,024 bytes breaks a promise', () => {
    const shared = new Uint8Array(32);
    expect(deriveKey(shared, 'é'.repeat(512))).toHaveLength(32);
    expect(() => deriveKey(shared, 'é'.repeat(513))).toThrow('invariant broken');
  });
});
