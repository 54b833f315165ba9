import { PluralError } from '../../core/errors.ts';
import { nearestName } from '../../core/suggest.ts';

/** Names are listed up to here: a Polis export has a column per statement. */
const MAX_LISTED = 12;

/** Errors: DATA_FORMAT that names the missing column and what was found, or a column that is there twice. */
export function checkColumns(file: string, found: readonly string[], required: readonly string[]): void {
  const repeated = found.find((name, index) => found.indexOf(name) !== index);
  if (repeated !== undefined)
    throw new PluralError('DATA_FORMAT', `${file} has two columns named "${repeated}"`);
  const missing = required.filter((name) => !found.includes(name));
  if (missing.length === 0) return;
  const rest = found.length > MAX_LISTED ? `, ... (${found.length} in all)` : '';
  const listed = found.slice(0, MAX_LISTED).join(', ') + rest;
  const near = nearestName(missing[0]!, found);
  throw new PluralError('DATA_FORMAT', `${file} has no column "${missing.join('", "')}"; found: ${listed}`, {
    hint: near === undefined ? `Columns needed: ${required.join(', ')}.` : `Rename the column "${near}"?`,
  });
}
