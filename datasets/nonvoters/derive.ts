/**
 * Derives the nonvoters survey from the published rows: tsx datasets/nonvoters/derive.ts <nonvoters_data.csv> [folder]
 * The same input gives the same bytes. See README.md for what is derived and how.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { invariant, PluralError } from '../../src/core/errors.ts';
import { readFileText } from '../../src/core/files.ts';
import type { DraftAnswer, DraftQuestion, SurveyDraft } from '../../src/data/draft.ts';
import { type CsvRecord, csvRecords } from '../../src/data/importers/csv-records.ts';
import type { Group } from '../../src/data/survey.ts';
import { writeSurvey } from '../../src/data/survey-folder.ts';
import { validateSurvey } from '../../src/data/validate.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Smaller cells are left out: too noisy, and too near to single people. */
const MIN_RESPONDENTS = 60;
/** Shares are rounded so that the last bits of a sum do not decide the bytes. */
const DECIMALS = 6;
/** The code of a refused or skipped answer. */
const REFUSED = '-1';

const PARTIES: Readonly<Record<string, string>> = { '1': 'Republican', '2': 'Democrat', '3': 'Independent' };
/** Id and label of each value of the `race` column. */
const RACES: Readonly<Record<string, readonly [string, string]>> = {
  White: ['White', 'White'],
  Black: ['Black', 'Black'],
  Hispanic: ['Hispanic', 'Hispanic'],
  'Other/Mixed': ['Other', 'other or mixed race'],
};
const AGES: readonly (readonly [number, string])[] = [
  [30, '18-29'],
  [50, '30-49'],
  [65, '50-64'],
  [Number.POSITIVE_INFINITY, '65+'],
];

const itemsSchema = z.array(
  z.strictObject({
    id: z.string(),
    topic: z.string(),
    text: z.string(),
    options: z.array(z.string()).min(2),
  }),
);
export type Item = z.output<typeof itemsSchema>[number];

interface Cell {
  readonly group: Group;
  readonly rows: CsvRecord[];
}

/** The 57 items in our own words; `id` is the column of the published file, options in the order of its codes. */
export function readItems(): Item[] {
  return itemsSchema.parse(JSON.parse(readFileText(join(HERE, 'items.json'))));
}

function cellOf(record: CsvRecord): Group | undefined {
  const party = PARTIES[record.values.get('Q30') ?? ''];
  if (party === undefined) return undefined;
  const race = RACES[record.values.get('race') ?? ''];
  const years = Number(record.values.get('ppage'));
  const age = AGES.find(([below]) => years < below)?.[1];
  invariant(race !== undefined && age !== undefined, `row ${record.row} has no race or age`);
  const [raceId, raceLabel] = race;
  return { id: `${party}-${raceId}-${age}`.toLowerCase(), label: `${party}, ${raceLabel}, ${age}` };
}

async function readCells(file: string, items: readonly Item[]): Promise<Cell[]> {
  const cells = new Map<string, Cell>();
  for await (const record of csvRecords(file, [
    'weight',
    'Q30',
    'race',
    'ppage',
    ...items.map(({ id }) => id),
  ])) {
    const group = cellOf(record);
    if (group === undefined) continue;
    const cell = cells.get(group.id) ?? { group, rows: [] };
    cell.rows.push(record);
    cells.set(group.id, cell);
  }
  return [...cells.values()]
    .filter(({ rows }) => rows.length >= MIN_RESPONDENTS)
    .sort((a, b) => (a.group.id < b.group.id ? -1 : 1));
}

function answerOf({ group, rows }: Cell, { id, options }: Item, file: string): DraftAnswer {
  const sums = options.map(() => 0);
  let total = 0;
  let respondents = 0;
  for (const { row, values } of rows) {
    const code = values.get(id) ?? '';
    if (code === REFUSED) continue;
    const option = Number(code) - 1;
    if (!(option in sums))
      throw new PluralError(
        'DATA_FORMAT',
        `${file}, row ${row}, column "${id}": no option has the code "${code}"`,
      );
    const weight = Number(values.get('weight'));
    sums[option]! += weight;
    total += weight;
    respondents++;
  }
  const weights = sums.map((sum) => Number((sum / total).toFixed(DECIMALS)));
  return { question: id, group: group.id, weights, respondents, where: { file, column: id } };
}

/** The survey before validation, and the number of respondents of each cell by group id. */
export async function deriveNonvoters(
  file: string,
): Promise<{ draft: SurveyDraft; cellSizes: Map<string, number> }> {
  const items = readItems();
  const cells = await readCells(file, items);
  const where = { file: 'items.json' };
  const draft: SurveyDraft = {
    name: 'nonvoters',
    questions: items.map((item): DraftQuestion => ({ ...item, where })),
    groups: cells.map(({ group }) => group),
    answers: cells.flatMap((cell) => items.map((item) => answerOf(cell, item, file))),
    weights: 'shares',
    provenance: {
      source:
        'FiveThirtyEight/Ipsos survey on voters and nonvoters, 15-25 September 2020 (github.com/fivethirtyeight/data, non-voters)',
      licence: 'CC BY 4.0',
      attribution:
        'FiveThirtyEight and Ipsos; aggregated to weighted shares of 21 groups, texts reworded by the pluralllm authors',
    },
  };
  return { draft, cellSizes: new Map(cells.map(({ group, rows }) => [group.id, rows.length])) };
}

async function main([file, folder = join(HERE, 'survey')]: readonly string[]): Promise<void> {
  if (file === undefined) {
    throw new PluralError('USAGE', 'tsx datasets/nonvoters/derive.ts <nonvoters_data.csv> [folder]');
  }
  const { draft } = await deriveNonvoters(file);
  const { survey, warnings } = validateSurvey(draft);
  for (const { message } of warnings) console.warn(message);
  writeSurvey(folder, survey);
  console.log(`${folder}: ${survey.groups.length} groups, ${survey.questions.length} questions`);
}

const script = process.argv[1];
if (script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url))
  await main(process.argv.slice(2));
