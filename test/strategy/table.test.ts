import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { STRATEGIES } from '../../src/strategy/table.ts';
import { ROOT } from '../support/cli.ts';

test('every strategy of the table stands in it once, and has a file of tests', () => {
  const names = STRATEGIES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(existsSync(join(ROOT, `test/strategy/${name}.test.ts`))).toBe(true);
});
