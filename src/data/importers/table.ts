import { PluralError } from '../../core/errors.ts';
import { suggestion } from '../../core/suggest.ts';
import { arrow } from './arrow.ts';
import { csv } from './csv.ts';
import { globalopinionqa } from './globalopinionqa.ts';
import type { Importer } from './importer.ts';
import { parquet } from './parquet.ts';
import { polis } from './polis.ts';

/** Every format that can be imported. To add one: write its file, add it here, give it a test. */
export const IMPORTERS: readonly Importer[] = [globalopinionqa, polis, csv, parquet, arrow];

/** The importer of a name; USAGE with the nearest name where there is none. */
export function importerNamed(name: string): Importer {
  const importer = IMPORTERS.find((candidate) => candidate.name === name);
  if (importer !== undefined) return importer;
  const known = IMPORTERS.map((candidate) => candidate.name);
  throw new PluralError('USAGE', `there is no format "${name}"`, {
    hint: suggestion(name, ['auto', ...known]),
  });
}

/** The one importer that recognises what lies at the path. Errors: FILE_NOT_FOUND upstream, DATA_FORMAT here. */
export async function importerFor(path: string): Promise<Importer> {
  const matches: Importer[] = [];
  for (const candidate of IMPORTERS) if (await candidate.recognises(path)) matches.push(candidate);
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return only;
  const known = IMPORTERS.map(({ name }) => name).join(', ');
  const what =
    only === undefined
      ? 'no known format'
      : `more than one format (${matches.map(({ name }) => name).join(', ')})`;
  throw new PluralError('DATA_FORMAT', `${path} looks like ${what}`, { hint: `Name the format: ${known}.` });
}
