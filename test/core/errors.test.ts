import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  asPluralError,
  ERROR_CODES,
  EXIT,
  exitCodeOf,
  invariant,
  PluralError,
} from '../../src/core/errors.ts';

/** Rows of docs/errors.md: `| `CODE` | exit code | meaning | what to do | example |`. */
function documentedCodes(page: string): { code: string; exit: number; cells: string[] }[] {
  return page
    .split('\n')
    .filter((line) => /^\| `[A-Z_]+` \|/.test(line))
    .map((line) => {
      const [code = '', exit = '', ...cells] = line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim());
      return { code: code.replaceAll('`', ''), exit: Number(exit), cells };
    });
}

describe('docs/errors.md', () => {
  const rows = documentedCodes(readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8'));

  test('has every code, in the same order, and no other', () => {
    expect(rows.map(({ code }) => code)).toEqual(ERROR_CODES);
  });

  test('has the exit codes of the program', () => {
    expect(rows.map(({ code, exit }) => [code, exit])).toEqual(
      ERROR_CODES.map((code) => [code, exitCodeOf(code)]),
    );
  });

  test('says of each what it means and what to do, and gives an example', () => {
    for (const { code, cells } of rows) {
      expect(cells, code).toHaveLength(3);
      for (const cell of cells) expect(cell.length, code).toBeGreaterThan(8);
    }
  });
});

describe('exit codes', () => {
  test('fit a process, never mean success, and differ by family', () => {
    const families: readonly number[] = Object.values(EXIT);
    expect(new Set(families).size).toBe(families.length);
    for (const code of ERROR_CODES) {
      expect(families).toContain(exitCodeOf(code));
      expect(exitCodeOf(code)).toBeGreaterThan(0);
      expect(exitCodeOf(code)).toBeLessThan(256);
    }
  });
});

describe('PluralError', () => {
  test('carries code, message, hint and cause', () => {
    const cause = new Error('below');
    const error = new PluralError('DISK_FULL', 'no space', { hint: 'free some', cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'PluralError', code: 'DISK_FULL', hint: 'free some', cause });
    expect(new PluralError('USAGE', 'x').hint).toBeUndefined();
    expect('cause' in new PluralError('USAGE', 'x')).toBe(false);
  });

  test('anything thrown becomes one; its own kind is passed through', () => {
    const own = new PluralError('USAGE', 'x');
    expect(asPluralError(own)).toBe(own);
    const foreign = new TypeError('odd');
    expect(asPluralError(foreign)).toMatchObject({ code: 'INTERNAL', message: 'odd', cause: foreign });
    expect(asPluralError('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
  });

  test('invariant throws INTERNAL, or nothing', () => {
    expect(() => invariant(1 > 0, 'order')).not.toThrow();
    expect(() => invariant(null, 'order')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
