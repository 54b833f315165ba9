import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importSurvey } from '../../src/data/import.ts';
import { IMPORTERS } from '../../src/data/importers/table.ts';
import { errorOf, temporaryFolder } from './make-draft.ts';

describe('importSurvey', () => {
  test('names what it cannot find, does not know or cannot recognise', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'notes.txt');
    writeFileSync(path, 'dear diary');
    expect((await errorOf(() => importSurvey({ format: 'auto', path: join(folder, 'none') }))).code).toBe(
      'FILE_NOT_FOUND',
    );
    const format = await errorOf(() => importSurvey({ format: 'cvs', path }));
    expect([format.code, format.hint]).toEqual(['USAGE', 'Did you mean "csv"?']);
    for (const odd of [path, folder]) {
      const error = await errorOf(() => importSurvey({ format: 'auto', path: odd }));
      expect([error.code, error.message]).toEqual([
        'DATA_FORMAT',
        expect.stringContaining('no known format'),
      ]);
    }
  });
});

describe.each(IMPORTERS)('importer $name', (importer) => {
  test('refuses an option that it does not have, before it reads', async () => {
    const error = await errorOf(() => importer.read('nowhere', 'x', { nonsense: 1 }));
    expect([error.code, error.message]).toEqual(['CONFIG_UNKNOWN_KEY', expect.stringContaining('nonsense')]);
  });

  test('refuses a value that an option cannot take, and has defaults for all', async () => {
    const [key] = Object.keys(importer.options.shape);
    expect((await errorOf(() => importer.read('nowhere', 'x', { [key!]: [] }))).code).toBe('CONFIG_INVALID');
    expect(importer.options.safeParse({}).success).toBe(true);
  });

  test('says which path it cannot read', async () => {
    const error = await errorOf(() => importer.read(join(temporaryFolder(), 'nowhere'), 'x', {}));
    expect([error.code, error.message]).toEqual(['FILE_NOT_FOUND', expect.stringContaining('nowhere')]);
  });
});
