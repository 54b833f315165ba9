import { z } from 'zod';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { readFileBytes } from '../core/files.ts';
import type { Question } from '../data/survey.ts';
import { defineFeatures, type FeatureVectors } from './provider.ts';
import { readVectors, type VectorTable } from './vector-file.ts';

const options = z.strictObject({
  /** An Arrow IPC file with columns question_id, option (int32) and embedding (list of float32). */
  path: z.string().min(1),
  /** The column that names the question. */
  idColumn: z.string().min(1).default('question_id'),
  /** Put before the file's id to get the survey's id. */
  prefix: z.string().default(''),
  /** `position`: the file's id is the 0-based position of the question in the survey. */
  matchBy: z.enum(['id', 'position']).default('id'),
});
type Options = z.output<typeof options>;

function keyOf(id: string, option: number): string {
  return JSON.stringify([id, option]);
}

/** Row of each (id, option). Errors: DATA_DUPLICATE. */
function indexRows(
  { ids, options: optionIndices }: VectorTable,
  { path, prefix }: Options,
): Map<string, number> {
  const rows = new Map<string, number>();
  for (const [row, id] of ids.entries()) {
    const key = keyOf(prefix + id, optionIndices[row]!);
    const before = rows.get(key);
    if (before !== undefined) {
      const where = `rows ${before} and ${row} of ${path}`;
      throw new PluralError(
        'DATA_DUPLICATE',
        `${where} are both question ${id}, option ${optionIndices[row]}`,
      );
    }
    rows.set(key, row);
  }
  return rows;
}

function missingError(
  missing: readonly string[],
  total: number,
  table: VectorTable,
  { path }: Options,
): PluralError {
  return new PluralError(
    'FEATURES_MISSING',
    `${path} has no vector for ${missing[0]} (${missing.length} of ${total} are missing)`,
    {
      hint: `The file's first question is called "${table.ids[0] ?? ''}"; see the options prefix, idColumn and matchBy.`,
    },
  );
}

function select(table: VectorTable, questions: readonly Question[], settings: Options): FeatureVectors {
  const rowOf = indexRows(table, settings);
  const { width, values } = table;
  const wanted = questions.flatMap((question, position) =>
    question.options.map((_, option) => ({
      id: settings.matchBy === 'id' ? question.id : `${settings.prefix}${position}`,
      option,
    })),
  );
  const rows = new Float32Array(wanted.length * width);
  const missing: string[] = [];
  for (const [target, { id, option }] of wanted.entries()) {
    const row = rowOf.get(keyOf(id, option));
    if (row === undefined) missing.push(`question "${id}", option ${option}`);
    else rows.set(values.subarray(row * width, (row + 1) * width), target * width);
  }
  if (missing.length > 0) throw missingError(missing, wanted.length, table, settings);
  return { width, rows };
}

/** Precomputed vectors from a file: how the embeddings of a large language model come in. Extra rows do not matter. */
export const arrowFeatures = defineFeatures({
  name: 'arrow',
  describe: 'Precomputed vectors from an Arrow IPC file, one row per question and option',
  version: 1,
  options,
  create(settings) {
    const bytes = readFileBytes(settings.path);
    const { path: _, ...matching } = settings;
    return {
      // The content counts, not where it lies: a moved file gives the same digest.
      identity: { ...matching, sha256: sha256(bytes) },
      cacheable: false,
      compute: async (questions) =>
        select(readVectors(bytes, settings.path, settings.idColumn), questions, settings),
    };
  },
});
