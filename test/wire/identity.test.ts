import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/curves/utils.js';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, test } from 'vitest';
import { identityOf, isSignedBy, publicKeySchema } from '../../src/wire/identity.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** RFC 8032, section 7.1, tests 1 to 3 and SHA(abc); message as hex. */
const RFC_8032 = [
  {
    secret: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    secret: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    secret: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
  {
    secret: '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    publicKey: 'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    message:
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    signature:
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  },
];

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hex);
const messages = fc.uint8Array({ maxLength: 300 });

describe('Ed25519', () => {
  test.each(RFC_8032)('signs and verifies the vector of RFC 8032 for $publicKey', (vector) => {
    const message = hexToBytes(vector.message);
    const identity = identityOf(vector.secret);
    expect(identity.publicKey).toBe(vector.publicKey);
    expect(identity.sign(message)).toBe(vector.signature);
    expect(isSignedBy(vector.publicKey, message, vector.signature)).toBe(true);
  });

  test('signs the same as @noble/curves and tweetnacl, and each takes the signatures of the others', () => {
    fc.assert(
      fc.property(secrets, messages, (secret, message) => {
        const identity = identityOf(secret);
        const signature = identity.sign(message);
        expect(hex(ed25519.getPublicKey(hexToBytes(secret)))).toBe(identity.publicKey);
        expect(hex(ed25519.sign(message, hexToBytes(secret)))).toBe(signature);
        const pair = nacl.sign.keyPair.fromSeed(hexToBytes(secret));
        expect(hex(nacl.sign.detached(message, pair.secretKey))).toBe(signature);
        expect(ed25519.verify(hexToBytes(signature), message, hexToBytes(identity.publicKey))).toBe(true);
        expect(nacl.sign.detached.verify(message, hexToBytes(signature), pair.publicKey)).toBe(true);
        expect(isSignedBy(hex(pair.publicKey), message, signature)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('any other message, key or signature is refused, by @noble/curves too', () => {
    const flips = fc.record({
      part: fc.constantFrom('key', 'message', 'signature'),
      at: fc.nat(),
      bit: fc.nat(7),
    });
    fc.assert(
      fc.property(secrets, fc.uint8Array({ minLength: 1, maxLength: 64 }), flips, (secret, message, flip) => {
        const identity = identityOf(secret);
        const parts = {
          key: hexToBytes(identity.publicKey),
          message: Uint8Array.from(message),
          signature: hexToBytes(identity.sign(message)),
        };
        const changed = parts[flip.part as keyof typeof parts];
        changed[flip.at % changed.length]! ^= 1 << flip.bit;
        expect(isSignedBy(hex(parts.key), parts.message, hex(parts.signature))).toBe(false);
        expect(ed25519.verify(parts.signature, parts.message, parts.key)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test('a signature has one form: S plus the order of the group is refused, which tweetnacl takes', () => {
    fc.assert(
      fc.property(secrets, messages, (secret, message) => {
        const identity = identityOf(secret);
        const signature = hexToBytes(identity.sign(message));
        const other = numberOf(signature.subarray(32)) + ORDER;
        const malleated = Uint8Array.from([...signature.subarray(0, 32), ...littleEndian(other)]);
        expect(isSignedBy(identity.publicKey, message, hex(malleated))).toBe(false);
        expect(nacl.sign.detached.verify(message, malleated, hexToBytes(identity.publicKey))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

/** All encodings of points whose order divides 8, also those that are not canonical and set the sign of x = 0. */
function smallOrderKeys(): string[] {
  const generator = ed25519.Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  const points = Array.from({ length: 8 }, (_, times) =>
    times === 0 ? ed25519.Point.ZERO : generator.multiply(BigInt(times)),
  );
  expect(new Set(points.map((point) => point.toHex())).size).toBe(8);
  const prime = 2n ** 255n - 19n;
  const ys = new Set(points.map((point) => numberOf(littleEndian(point.toAffine().y))));
  const encoded = [...ys].flatMap((y) => (y + prime < 2n ** 255n ? [y, y + prime] : [y]));
  return encoded.flatMap((y) => [hex(littleEndian(y)), hex(littleEndian(y | (1n << 255n)))]);
}

describe('public keys', () => {
  test('keys of small order, for which anybody can sign, are refused, in all 14 encodings', () => {
    const keys = smallOrderKeys();
    expect(keys).toHaveLength(14);
    for (const key of keys) expect(publicKeySchema.safeParse(key).success, key).toBe(false);
  });

  // OpenSSL 3.0, in Node 20, takes this signature as well; that of Node 24 does not.
  test('such keys are no empty threat: who verifies by the cofactored equation takes one signature for every message', () => {
    const identityPoint = `01${'00'.repeat(31)}`;
    const everything = Buffer.from(identityPoint + '00'.repeat(32), 'hex');
    const key = Buffer.from(identityPoint, 'hex');
    for (const message of ['pay', 'do not pay']) {
      expect(ed25519.verify(everything, Buffer.from(message), key, { zip215: true })).toBe(true);
      expect(isSignedBy(identityPoint, Buffer.from(message), everything.toString('hex'))).toBe(false);
    }
  });

  test('what is no point of the curve is nobody, and no error', () => {
    // The x of y = 2 is no number: 2 is on no point.
    const noPoint = `02${'00'.repeat(31)}`;
    expect(() => ed25519.Point.fromHex(noPoint)).toThrow();
    expect(isSignedBy(noPoint, Buffer.from('x'), '00'.repeat(64))).toBe(false);
  });

  test.each(['', 'xyz', 'AB'.repeat(32), 'ab'.repeat(31), `${'ab'.repeat(32)}\n`, 'ab'.repeat(33)])(
    '%j is no key',
    (text) => {
      expect(publicKeySchema.safeParse(text).success).toBe(false);
      expect(isSignedBy(text, Buffer.from('x'), '00'.repeat(64))).toBe(false);
    },
  );

  test.each(['', 'zz', 'AB'.repeat(64), 'ab'.repeat(63), `${'ab'.repeat(64)}\n`])(
    '%j is no signature',
    (text) => {
      expect(isSignedBy(identityOf('1d'.repeat(32)).publicKey, Buffer.from('x'), text)).toBe(false);
    },
  );
});
