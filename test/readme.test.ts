import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DOCUMENTS, PICTURES, withTables } from '../bench/readme.ts';
import { ROOT } from './support/cli.ts';

describe('documents', () => {
  it.each(Object.entries(PICTURES))('%s is drawn from the committed results', (path, draw) => {
    expect(readFileSync(join(ROOT, path), 'utf8')).toBe(draw());
  });

  for (const path of DOCUMENTS) {
    it(`${path}: the tables are those of the committed results`, () => {
      const document = readFileSync(join(ROOT, path), 'utf8');
      expect(document).toContain('<!-- table:');
      expect(document).toBe(withTables(document));
    });

    it(`${path}: every relative link leads to a file`, () => {
      const document = readFileSync(join(ROOT, path), 'utf8');
      const links = [...document.matchAll(/\]\(([^)#]+)\)/g)].map(([, link]) => link!);
      const broken = links
        .filter((link) => !link.startsWith('https://'))
        .filter((link) => !existsSync(join(ROOT, dirname(path), link)));
      expect(broken).toEqual([]);
    });
  }
});
