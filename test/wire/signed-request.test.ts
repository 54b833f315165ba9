import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import { identityOf } from '../../src/wire/identity.ts';
import {
  CLOCK_TOLERANCE_MS,
  readSignature,
  SIGNATURE_HEADERS,
  signRequest,
} from '../../src/wire/signed-request.ts';

const group = identityOf('67'.repeat(32));
const audience = identityOf('1d'.repeat(32)).publicKey;
const NOW = 1_800_000_000_000;

const bodies = fc.uint8Array({ maxLength: 100 });
/** What can stand in a request line: no spaces, no control characters. */
const paths = fc.stringMatching(/^\/[!-~]{0,60}$/);
const methods = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD');
const nonces = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const requests = fc.record({ method: methods, path: paths, body: bodies, nonce: nonces });

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof PluralError) return thrown.code;
    throw thrown;
  }
  return 'accepted';
}

function sign({
  method,
  path,
  body,
  nonce,
}: {
  method: string;
  path: string;
  body: Uint8Array;
  nonce: string;
}) {
  return signRequest(group, { method, path, body }, { audience, timeMs: NOW, nonce });
}

describe('a signed request', () => {
  test('is read as it was signed', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const claim = readSignature(sign(request), request, { audience, nowMs: NOW });
        expect(claim).toEqual({
          publicKey: group.publicKey,
          timeMs: NOW,
          nonce: request.nonce,
          bodyDigest: sha256(request.body),
        });
      }),
      { numRuns: 50 },
    );
  });

  test('says the same in every part, or is refused: method, path, aggregator', () => {
    const others = fc.record({
      method: methods,
      path: paths,
      audience: fc.constantFrom('aa', 'bb').map((x) => x.repeat(32)),
    });
    fc.assert(
      fc.property(requests, others, fc.constantFrom('method', 'path', 'audience'), (request, other, part) => {
        const read = {
          method: request.method,
          path: request.path,
          audience,
          [part]: other[part as keyof typeof other],
        };
        const same =
          read.method === request.method && read.path === request.path && read.audience === audience;
        const code = codeOf(() =>
          readSignature(sign(request), read, { audience: read.audience, nowMs: NOW }),
        );
        expect(code).toBe(same ? 'accepted' : 'SIGNATURE_INVALID');
      }),
      { numRuns: 80 },
    );
  });

  test('any header with any character changed is refused', () => {
    const names = fc.constantFrom(...Object.values(SIGNATURE_HEADERS));
    const hexDigits = fc.constantFrom(...'0123456789abcdef');
    fc.assert(
      fc.property(requests, names, fc.nat(), hexDigits, (request, name, position, digit) => {
        const headers = sign(request);
        const value = headers[name]!;
        const at = position % value.length;
        fc.pre(value[at] !== digit);
        headers[name] = value.slice(0, at) + digit + value.slice(at + 1);
        expect(codeOf(() => readSignature(headers, request, { audience, nowMs: NOW }))).toBe(
          'SIGNATURE_INVALID',
        );
      }),
      { numRuns: 120 },
    );
  });

  test('any header that is gone, doubled, or of another kind is refused', () => {
    const values = fc.oneof(fc.constant(undefined), fc.anything(), fc.string());
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(SIGNATURE_HEADERS)), values, (name, value) => {
        const request = { method: 'GET', path: '/', body: new Uint8Array(0), nonce: '0'.repeat(32) };
        const signed = sign(request);
        fc.pre(value !== signed[name]);
        for (const other of [value, `${signed[name]}, ${signed[name]}`, [signed[name], signed[name]]]) {
          const headers = { ...signed, [name]: other };
          const code = codeOf(() => readSignature(headers, request, { audience, nowMs: NOW }));
          expect(['SIGNATURE_INVALID', 'REQUEST_UNSIGNED']).toContain(code);
        }
      }),
    );
  });

  test('without a signature it is unsigned, whatever else it has', () => {
    const { [SIGNATURE_HEADERS.signature]: _, ...rest } = sign({
      method: 'GET',
      path: '/',
      body: new Uint8Array(0),
      nonce: '0'.repeat(32),
    });
    for (const headers of [{}, rest]) {
      expect(
        codeOf(() => readSignature(headers, { method: 'GET', path: '/x?y=1' }, { audience, nowMs: NOW })),
      ).toBe('REQUEST_UNSIGNED');
    }
  });

  test('is taken from five minutes before to five minutes behind, and not a millisecond more', () => {
    const request = { method: 'GET', path: '/', body: new Uint8Array(0), nonce: '0'.repeat(32) };
    const at = (nowMs: number) => codeOf(() => readSignature(sign(request), request, { audience, nowMs }));
    expect(at(NOW + CLOCK_TOLERANCE_MS)).toBe('accepted');
    expect(at(NOW - CLOCK_TOLERANCE_MS)).toBe('accepted');
    expect(at(NOW + CLOCK_TOLERANCE_MS + 1)).toBe('CLOCK_SKEWED');
    expect(at(NOW - CLOCK_TOLERANCE_MS - 1)).toBe('CLOCK_SKEWED');
  });

  test('the farthest time that can be written is refused in words', () => {
    const request = { method: 'GET', path: '/', body: new Uint8Array(0), nonce: '0'.repeat(32) };
    const headers = signRequest(group, request, {
      audience,
      timeMs: 999_999_999_999_999,
      nonce: request.nonce,
    });
    expect(() => readSignature(headers, request, { audience, nowMs: NOW })).toThrow(
      /says \+033658-09-27T01:46:39.999Z/,
    );
  });

  test('what a record of a model is signed with never fits a request', () => {
    // Both are signed with Ed25519; their first lines differ.
    const request = { method: 'GET', path: '/', body: new Uint8Array(0), nonce: '0'.repeat(32) };
    const record = `pluralllm-model-v1\n${audience}\nGET\n/\n${sha256('')}\n${NOW}\n${request.nonce}`;
    const headers = { ...sign(request), [SIGNATURE_HEADERS.signature]: group.sign(Buffer.from(record)) };
    expect(codeOf(() => readSignature(headers, request, { audience, nowMs: NOW }))).toBe('SIGNATURE_INVALID');
  });
});
