import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oneLine, printable, shortened } from '../../src/report/printable.ts';

describe('printable text', () => {
  it('replaces escape sequences, NUL and lone surrogates, and leaves line breaks', () => {
    expect(printable('a\u001b[31mb\u0000\ud800c\n\td')).toBe('a\ufffd[31mb\ufffd\ufffdc\n\td');
  });

  it('keeps whole surrogate pairs and combining marks', () => {
    expect(printable('🗳 e\u0301')).toBe('🗳 e\u0301');
  });

  it('makes one line of any text, without a control character in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(oneLine(text)).not.toMatch(/\p{Cc}|\p{Cs}/u);
      }),
    );
  });

  it('never exceeds the length it was given, and leaves short text alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (text, length) => {
        const short = shortened(text, length);
        expect([...short].length).toBeLessThanOrEqual(length);
        if ([...oneLine(text)].length <= length) expect(short).toBe(oneLine(text));
        else expect(short.endsWith('…')).toBe(true);
      }),
    );
  });
});
