import { join } from 'node:path';
import { z } from 'zod';
import { configDigest } from '../../config/config.ts';
import { applyOverride } from '../../config/load.ts';
import { canonicalJson } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { jsonOrNull, readFileText, writeFileAtomic } from '../../core/files.ts';
import { frozenConfig, GRID_FILE } from '../run-folder.ts';
import { cellFolder, type Grid, makeGrid } from './grid.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);

const cellSchema = z.strictObject({
  /** Below the folder of the grid. */
  folder: z.string(),
  configDigest: digest,
  /** Digest of all that the numbers of the run depend on, answers and features too. */
  fingerprint: digest,
});

/** What `grid.json` holds: all that is needed to go on with a grid from anywhere. */
const definitionSchema = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  axes: z.array(z.strictObject({ key: z.string(), values: z.array(z.json()) })),
  seeds: z.array(z.int().nonnegative()).min(1),
  /** The frozen configuration of each setting, with every default filled in, without its seed. */
  settings: z.array(z.strictObject({ slug: z.string(), config: z.record(z.string(), z.unknown()) })).min(1),
  cells: z.array(cellSchema).min(1),
});
export type GridDefinition = z.output<typeof definitionSchema>;

/** The definition of a grid; `fingerprints` are those of its cells, in their order. */
export function definitionOf(grid: Grid, fingerprints: readonly string[]): GridDefinition {
  const { name, axes, seeds, settings, cells } = grid;
  const frozen = settings.map((setting) => {
    const { config } = cells.find((cell) => cell.setting === setting)!;
    const { seed: _seed, output: _output, ...rest } = frozenConfig(config);
    return { slug: setting.slug, config: rest };
  });
  return definitionSchema.parse({
    format: 1,
    name,
    axes,
    seeds,
    settings: frozen,
    cells: cells.map((cell, i) => ({
      folder: cellFolder(cell),
      configDigest: configDigest(cell.config),
      fingerprint: fingerprints[i],
    })),
  });
}

/** Writes `grid.json` whole or not at all. */
export function writeDefinition(folder: string, definition: GridDefinition): void {
  writeFileAtomic(join(folder, GRID_FILE), `${JSON.stringify(definition, null, 2)}\n`);
}

function corrupt(path: string, detail: string): PluralError {
  return new PluralError('CHECKPOINT_CORRUPT', `${path} is not the definition of a grid (${detail})`, {
    hint: 'The file was changed or written by another version. Start the grid again in a new folder.',
  });
}

/** Reads `grid.json`, strictly. Errors: CHECKPOINT_CORRUPT, FILE_NOT_FOUND. */
export function readDefinition(folder: string): GridDefinition {
  const path = join(folder, GRID_FILE);
  const parsed = definitionSchema.safeParse(jsonOrNull(readFileText(path)));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw corrupt(path, `${issue?.path.join('.') || 'the whole file'}: ${issue?.message ?? 'no detail'}`);
}

/**
 * The grid of a folder, with overrides for what numbers do not depend on, such as the number of workers.
 * Errors: CHECKPOINT_CORRUPT where it is not the grid that was written, those of `makeGrid`.
 */
export function gridIn(folder: string, overrides: readonly string[]): Grid {
  const { axes, seeds, settings } = readDefinition(folder);
  const size = axes.reduce((product, { values }) => product * values.length, 1);
  if (settings.length !== size) {
    throw corrupt(join(folder, GRID_FILE), `${settings.length} settings where the axes make ${size}`);
  }
  return makeGrid({
    axes,
    seeds: { list: seeds },
    rawOf: (_, index) => {
      const raw = structuredClone(settings[index]!.config);
      for (const override of overrides) applyOverride(raw, override);
      return raw;
    },
  });
}

/** Whether two parts of definitions say the same. */
function same(one: unknown, other: unknown): boolean {
  return canonicalJson(one) === canonicalJson(other);
}

/** What differs first between a stored definition and one that goes on with it, in words; null: at most seeds at the end. */
function difference(before: GridDefinition, now: GridDefinition): string | null {
  if (!same(before.axes, now.axes)) return 'it varies other keys or values';
  if (!same(before.seeds, now.seeds.slice(0, before.seeds.length)))
    return `its seeds are ${before.seeds.join(', ')}, yours ${now.seeds.join(', ')}`;
  const asked = new Map(now.cells.map((cell) => [cell.folder, cell]));
  const changed = before.cells.find((cell) => !same(cell, asked.get(cell.folder) ?? null));
  if (changed === undefined) return null;
  const configured = changed.configDigest === asked.get(changed.folder)?.configDigest;
  return `${configured ? 'the data' : 'the configuration'} of ${changed.folder} is another`;
}

/**
 * Sees to it that the definition in a folder is the one asked for, and writes it where it has more seeds than the stored one,
 * after those. To be called by who holds the folder's lock: another process may add seeds too.
 * Errors: CHECKPOINT_MISMATCH for any other difference, those of `readDefinition`, WRITE_FAILED.
 */
export function growDefinition(folder: string, asked: GridDefinition): void {
  const before = readDefinition(folder);
  const other = difference(before, asked);
  if (other !== null) {
    throw new PluralError('CHECKPOINT_MISMATCH', `${folder} belongs to another grid: ${other}`, {
      hint: `Nothing was written. Go on with that grid by: pluralllm run ${folder} --resume, or choose another folder with --output-dir. Seeds can be added after those it has.`,
    });
  }
  if (asked.seeds.length > before.seeds.length) writeDefinition(folder, asked);
}
