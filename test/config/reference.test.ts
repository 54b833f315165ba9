import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ROOT } from '../support/cli.ts';

const REFERENCE = join(ROOT, 'configs/reference.yaml');

it('configs/reference.yaml has every key with its default', () => {
  const shortest = parseConfig({ data: { survey: 'nonvoters', groups: { training: 14, unseen: 7 } } });
  expect(loadConfig(REFERENCE)).toEqual(shortest);
});

it('configs/reference.yaml names every key itself, so that none comes from the defaults', () => {
  const text = readFileSync(REFERENCE, 'utf8');
  const leaves = (value: object): string[] =>
    Object.entries(value).flatMap(([key, member]) =>
      member !== null &&
      typeof member === 'object' &&
      !Array.isArray(member) &&
      Object.keys(member).length > 0
        ? [key, ...leaves(member)]
        : [key],
    );
  const missing = leaves(loadConfig(REFERENCE)).filter((key) => !new RegExp(`\\b${key}:`).test(text));
  expect(missing).toEqual([]);
});
