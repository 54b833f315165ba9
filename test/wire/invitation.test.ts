import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PluralError } from '../../src/core/errors.ts';
import { randomStream } from '../../src/core/random.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { decodeInvitation, encodeInvitation, type Invitation } from '../../src/wire/invitation.ts';
import { groupIdSchema } from '../../src/wire/run-definition.ts';

const aggregatorKey = identityOf('1d'.repeat(32)).publicKey;

const invitations: fc.Arbitrary<Invitation> = fc.record({
  url: fc.constantFrom('https://aggregator.example', 'http://127.0.0.1:8790', 'https://[::1]:1/under/a/path'),
  run: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/),
  aggregatorKey: fc.constant(aggregatorKey),
  token: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/)),
  group: fc.option(
    fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter((id) => groupIdSchema.safeParse(id).success),
  ),
});

/** INVITATION_INVALID, or what was read. */
function read(text: string): Invitation | 'invalid' {
  try {
    return decodeInvitation(text);
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code === 'INVITATION_INVALID') return 'invalid';
    throw thrown;
  }
}

describe('an invitation', () => {
  test('is one word that gives back what was put in, also with the white space of a mail around it', () => {
    fc.assert(
      fc.property(invitations, (invitation) => {
        const word = encodeInvitation(invitation);
        expect(word).toMatch(/^[\w.-]+$/);
        expect(read(word)).toEqual(invitation);
        expect(read(`\n  ${word}\r\n`)).toEqual(invitation);
      }),
    );
  });

  test('whatever else it is, reading it ends with INVITATION_INVALID', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.string().map((text) => `pluralllm-invitation-1.${text}`),
        ),
        (text) => {
          expect(read(text)).toBe('invalid');
        },
      ),
    );
  });

  test('any content of another form is refused', () => {
    const good = { url: 'https://a.example', run: 'r', aggregatorKey, token: null, group: null };
    const wrap = (value: unknown) =>
      `pluralllm-invitation-1.${Buffer.from(JSON.stringify(value)).toString('base64url')}`;
    expect(read(wrap(good))).toEqual(good);
    const wrong: readonly unknown[] = [
      null,
      [],
      { ...good, extra: 1 },
      { ...good, url: 'javascript:alert(1)' },
      { ...good, url: 'file:///etc/passwd' },
      { ...good, url: 'ftp://a.example' },
      { ...good, run: '../x' },
      { ...good, run: '' },
      { ...good, aggregatorKey: 'ab' },
      { ...good, aggregatorKey: '00'.repeat(32) },
      { ...good, token: 'ab' },
      { ...good, token: 1 },
      { ...good, group: '' },
      { ...good, group: 'a\nb' },
      { ...good, group: 'a\u202eb' },
      { ...good, group: 'x'.repeat(257) },
    ];
    for (const value of wrong) expect(read(wrap(value)), JSON.stringify(value)).toBe('invalid');
  });

  test('a word with a character changed, lost or doubled never gives another key, run or token unnoticed by its form', () => {
    const word = encodeInvitation({
      url: 'https://a.example',
      run: 'r',
      aggregatorKey,
      token: 'ab'.repeat(32),
      group: 'g',
    });
    const random = randomStream(5, 'invitation');
    const counts = { invalid: 0, read: 0 };
    for (let i = 0; i < 2000; i++) {
      const at = random.below(word.length);
      const inserted = ['', word[at]! + word[at]!, String.fromCharCode(33 + random.below(94))][
        random.below(3)
      ]!;
      const found = read(word.slice(0, at) + inserted + word.slice(at + 1));
      if (found === 'invalid') counts.invalid++;
      else {
        counts.read++;
        expect(found.token).toMatch(/^[0-9a-f]{64}$/);
        expect(found.aggregatorKey).toMatch(/^[0-9a-f]{64}$/);
      }
    }
    expect(counts.invalid).toBeGreaterThan(1000);
  });
});
