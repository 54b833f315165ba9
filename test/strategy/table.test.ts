import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseOptions } from '../../src/core/options.ts';
import { STRATEGIES } from '../../src/strategy/table.ts';
import { ROOT } from '../support/cli.ts';

test('every strategy of the table stands in it once, and has a file of tests', () => {
  const names = STRATEGIES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(existsSync(join(ROOT, `test/strategy/${name}.test.ts`))).toBe(true);
});

test.each(STRATEGIES.map((kind) => [kind.name, kind] as const))(
  'docs/strategies.md has the options of %s with their defaults',
  (name, kind) => {
    const page = readFileSync(join(ROOT, 'docs/strategies.md'), 'utf8');
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? '';
    const { weighting, ...defaults } = parseOptions('strategy', kind.options, {}) as Record<string, unknown>;
    expect(weighting).toBe('questions');
    for (const [option, value] of Object.entries(defaults)) {
      // What follows from other options is null, and said in words.
      expect(row).toContain(value === null ? `\`${option}\` (` : `\`${option}: ${value}\``);
    }
    expect(row.split('|')).not.toHaveLength(1);
  },
);

test('configs/reference.yaml names every strategy', () => {
  const text = readFileSync(join(ROOT, 'configs/reference.yaml'), 'utf8');
  const listed = /^# How updates become the next model: ([^;]*);/m.exec(text)?.[1]?.split(', ');
  expect(listed).toEqual(STRATEGIES.map(({ name }) => name));
});
