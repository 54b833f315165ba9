import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, test } from 'vitest';
import { openSealed, seal } from '../../../src/privacy/secure-sum/sealed-share.ts';

const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const messages = fc.uint8Array({ maxLength: 200 });
const fromHex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** "Cryptography in NaCl" (Bernstein, 2009), section 10, also tests/secretbox.c of NaCl and libsodium. */
const NACL = {
  key: '1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389',
  nonce: '69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37',
  message:
    'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
  sealed:
    'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
};

/** The sixteen words of Salsa20 after its ten double rounds ("Salsa20 specification", Bernstein, 2005). */
function salsaRounds(start: readonly number[]): number[] {
  const x = [...start];
  const mix = (to: number, a: number, b: number, turn: number) => {
    const sum = (x[a]! + x[b]!) | 0;
    x[to]! ^= (sum << turn) | (sum >>> (32 - turn));
  };
  const quarter = (a: number, b: number, c: number, d: number) => {
    mix(b, a, d, 7);
    mix(c, b, a, 9);
    mix(d, c, b, 13);
    mix(a, d, c, 18);
  };
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarter(5 * i, (5 * i + 4) % 16, (5 * i + 8) % 16, (5 * i + 12) % 16);
    for (let i = 0; i < 4; i++)
      quarter(5 * i, 4 * i + ((i + 1) % 4), 4 * i + ((i + 2) % 4), 4 * i + ((i + 3) % 4));
  }
  return x;
}

const wordsOf = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / 4 }, (_, i) => Buffer.from(bytes).readInt32LE(4 * i));
const SIGMA = wordsOf(Buffer.from('expand 32-byte k'));

function matrix(key: readonly number[], input: readonly number[]): number[] {
  const [s0, s1, s2, s3] = SIGMA;
  return [s0!, ...key.slice(0, 4), s1!, ...input, s2!, ...key.slice(4), s3!];
}

function bytesOf(words: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(words).buffer);
}

/** XSalsa20 ("Extending the Salsa20 nonce", Bernstein, 2008). */
function xsalsa20(key: Uint8Array, nonce: Uint8Array, length: number): Uint8Array {
  const head = wordsOf(nonce);
  const rounds = salsaRounds(matrix(wordsOf(key), head.slice(0, 4)));
  const subkey = [0, 5, 10, 15, 6, 7, 8, 9].map((at) => rounds[at]!);
  const blocks = Array.from({ length: Math.ceil(length / 64) }, (_, counter) => {
    const start = matrix(subkey, [head[4]!, head[5]!, counter, 0]);
    return bytesOf(salsaRounds(start).map((word, i) => (word + start[i]!) | 0));
  });
  return new Uint8Array(Buffer.concat(blocks)).subarray(0, length);
}

const numberOf = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

/** Poly1305 (RFC 8439, section 2.5). */
function poly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
  const r = numberOf(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = Uint8Array.from([...message.subarray(at, at + 16), 1]);
    sum = ((sum + numberOf(block)) * r) % (2n ** 130n - 5n);
  }
  const tag = sum + numberOf(key.subarray(16));
  return Uint8Array.from({ length: 16 }, (_, i) => Number((tag >> BigInt(8 * i)) & 255n));
}

function secretbox(key: Uint8Array, nonce: Uint8Array, message: Uint8Array): Uint8Array {
  const stream = xsalsa20(key, nonce, 32 + message.length);
  const encrypted = message.map((byte, i) => byte ^ stream[32 + i]!);
  return Uint8Array.from([...poly1305(stream.subarray(0, 32), encrypted), ...encrypted]);
}

describe('the published box', () => {
  test('comes out of tweetnacl, and of the construction as these tests write it down', () => {
    const [key, nonce, message] = [NACL.key, NACL.nonce, NACL.message].map(fromHex);
    expect(hex(nacl.secretbox(message!, nonce!, key!))).toBe(NACL.sealed);
    expect(hex(secretbox(key!, nonce!, message!))).toBe(NACL.sealed);
  });
});

describe('sealed shares', () => {
  test('are that construction with a nonce of zeros', () => {
    fc.assert(
      fc.property(keys, messages, (key, message) => {
        const sealed = seal(key, message);
        expect(sealed).toHaveLength(message.length + 16);
        expect(hex(sealed)).toBe(hex(secretbox(key, new Uint8Array(24), message)));
      }),
      { numRuns: 40 },
    );
  });

  test('open to the message under their key, and to nothing under another', () => {
    fc.assert(
      fc.property(keys, messages, fc.nat(255), (key, message, bit) => {
        const sealed = seal(key, message);
        expect(hex(openSealed(key, sealed)!)).toBe(hex(message));
        const other = Uint8Array.from(key);
        other[bit >> 3]! ^= 1 << (bit & 7);
        expect(openSealed(other, sealed)).toBeNull();
      }),
      { numRuns: 60 },
    );
  });

  test('with any one bit changed, cut short or made longer, open to nothing', () => {
    const key = new Uint8Array(32).fill(0x42);
    const sealed = seal(key, new Uint8Array(64).fill(0x17));
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const changed = Uint8Array.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(openSealed(key, changed)).toBeNull();
    }
    for (let length = 0; length < sealed.length; length++)
      expect(openSealed(key, sealed.subarray(0, length))).toBeNull();
    expect(openSealed(key, Uint8Array.from([...sealed, 0]))).toBeNull();
  });

  test.each([0, 31, 33])('a key of %d bytes breaks a promise', (length) => {
    expect(() => seal(new Uint8Array(length), new Uint8Array(1))).toThrow('invariant broken');
    expect(() => openSealed(new Uint8Array(length), new Uint8Array(17))).toThrow('invariant broken');
  });
});
