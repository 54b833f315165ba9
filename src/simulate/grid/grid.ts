import { z } from 'zod';
import { type Config, parseConfig } from '../../config/config.ts';
import { type Raw, setKey } from '../../config/load.ts';
import { canonicalJson } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import type { Axis } from '../../report/grid/records.ts';
import { shortLabel, slugsOf, valueText } from './slug.ts';

/** One choice of a value on each axis. */
export interface Setting {
  /** Name of its folder. */
  readonly slug: string;
  /** The same for people: `training.rounds=20, predictor=gpo`. */
  readonly label: string;
  /** The same where room is short: `rounds 20, predictor gpo`. */
  readonly short: string;
  /** The values, in the order of the axes. */
  readonly values: readonly unknown[];
  /** Its configuration before the seed and defaults. */
  readonly raw: Raw;
}

/** One run: a setting with a seed. */
export interface Cell {
  readonly setting: Setting;
  readonly seed: number;
  readonly config: Config;
}

/** All runs of a product of axes with a list of seeds, every one of them checked. */
export interface Grid {
  readonly name: string;
  /** Folder that the configuration asks for; null: `runs/<name>-grid`. */
  readonly output: string | null;
  readonly axes: readonly Axis[];
  readonly seeds: readonly number[];
  readonly settings: readonly Setting[];
  /** Setting by setting, seeds in their order. */
  readonly cells: readonly Cell[];
}

/** Seeds by number, counted from the configuration's own; by name; or null: the configuration's own alone. */
export type SeedChoice = { readonly count: number } | { readonly list: readonly number[] } | null;

/** More runs than anybody waits for are a slip of the finger. */
const MOST_CELLS = 1000;

/** Keys that a grid has a place of its own for. */
const RESERVED: ReadonlyMap<string, string> = new Map([
  ['seed', 'Give seeds with --seeds.'],
  ['name', 'Every run of a grid has the name of the grid.'],
  ['output', 'Choose the folder of the grid with --output-dir; each run has a folder in it.'],
]);

function checkAxes(axes: readonly Axis[]): void {
  const keys = axes.map(({ key }) => key);
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) {
    throw new PluralError('USAGE', `the grid names "${twice}" twice`, {
      hint: 'Give all its values in one list.',
    });
  }
  for (const { key, values } of axes) {
    const hint = RESERVED.get(key.split('.')[0] ?? '');
    if (hint !== undefined) throw new PluralError('USAGE', `a grid cannot vary "${key}"`, { hint });
    if (values.length === 0) {
      throw new PluralError('USAGE', `the grid has no value for "${key}"`, {
        hint: `Example: --grid ${key}=1,2`,
      });
    }
    checkStorable(key, values);
  }
}

/** What a grid varies goes through JSON: no value that contains itself, no infinite number. */
function checkStorable(key: string, values: readonly unknown[]): void {
  try {
    JSON.stringify(values);
    z.array(z.json()).parse(values);
  } catch (cause) {
    throw new PluralError('CONFIG_INVALID', `${key}: a value of the grid cannot be written as JSON`, {
      hint: 'Use texts, finite numbers, true, false, null, lists and sections.',
      cause,
    });
  }
}

/** All choices of one value from each list; one empty choice where there is no list. */
function product(lists: readonly (readonly unknown[])[]): unknown[][] {
  return lists.reduce<unknown[][]>(
    (done, list) => done.flatMap((before) => list.map((value) => [...before, value])),
    [[]],
  );
}

function labelOf(axes: readonly Axis[], values: readonly unknown[]): string {
  if (axes.length === 0) return 'as configured';
  return axes.map(({ key }, i) => `${key}=${valueText(values[i])}`).join(', ');
}

/** Runs a check of one setting or cell; its error then says which one. */
function naming<Result>(what: string, check: () => Result): Result {
  try {
    return check();
  } catch (thrown) {
    throw inCell(what, thrown);
  }
}

/** An error with the cell that it belongs to; what is no error of ours stays as it is. */
export function inCell(what: string, thrown: unknown): unknown {
  if (!(thrown instanceof PluralError)) return thrown;
  const { code, message, hint } = thrown;
  return new PluralError(code, `${what}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: thrown,
  });
}

/** A cell in words. */
export function cellName({ setting, seed }: Pick<Cell, 'setting' | 'seed'>): string {
  return `${setting.label}, seed ${seed}`;
}

/** The folder of a cell below that of its grid, with forward slashes. */
export function cellFolder({ setting, seed }: Pick<Cell, 'setting' | 'seed'>): string {
  return `${setting.slug}/seed-${seed}`;
}

function seedsOf(choice: SeedChoice, own: number): readonly number[] {
  if (choice === null) return [own];
  if ('count' in choice) return Array.from({ length: choice.count }, (_, i) => own + i);
  const twice = choice.list.find((seed, i) => choice.list.indexOf(seed) !== i);
  if (twice === undefined) return choice.list;
  throw new PluralError('USAGE', `seed ${twice} is named twice`, { hint: 'Name each seed once.' });
}

function checkDistinct(settings: readonly Setting[], configs: readonly Config[]): void {
  const seen = new Map<string, Setting>();
  settings.forEach((setting, i) => {
    const text = canonicalJson(configs[i]);
    const before = seen.get(text);
    if (before !== undefined) {
      throw new PluralError(
        'CONFIG_CONFLICT',
        `"${before.label}" and "${setting.label}" are the same setting`,
        {
          hint: 'Name each value once: the same run twice says nothing more.',
        },
      );
    }
    seen.set(text, setting);
  });
}

function checkSize(settings: number, seeds: number): void {
  if (settings * seeds <= MOST_CELLS) return;
  throw new PluralError('USAGE', `the grid has ${settings * seeds} runs, more than ${MOST_CELLS}`, {
    hint: 'Divide it into several grids.',
  });
}

/** What a grid is made of. */
export interface GridParts {
  readonly axes: readonly Axis[];
  readonly seeds: SeedChoice;
  /** The configuration of the setting with these values, the `index`-th. */
  readonly rawOf: (values: readonly unknown[], index: number) => Raw;
}

/**
 * A grid of which every cell is checked. Errors: USAGE for a key, a value or a seed given twice; CONFIG_CONFLICT for settings
 * that are the same; those of `parseConfig`, with the cell named.
 */
export function makeGrid({ axes, seeds: choice, rawOf }: GridParts): Grid {
  checkAxes(axes);
  checkSize(
    axes.reduce((size, { values }) => size * values.length, 1),
    choice !== null && 'count' in choice ? choice.count : 1,
  );
  const choices = product(axes.map(({ values }) => values));
  const keys = axes.map(({ key }) => key);
  const slugs = slugsOf(keys, choices);
  const settings = choices.map((values, i) => ({
    slug: slugs[i]!,
    label: labelOf(axes, values),
    short: shortLabel(keys, values),
    values,
    raw: rawOf(values, i),
  }));
  const configs = settings.map(({ label, raw }) => naming(label, () => parseConfig(raw)));
  checkDistinct(settings, configs);
  const { name, output, seed } = configs[0]!;
  const seeds = seedsOf(choice, seed);
  checkSize(settings.length, seeds.length);
  const cells = settings.flatMap((setting) =>
    seeds.map((seed) => {
      // Each run lies in the folder of its cell, whatever folder the grid was asked to have.
      const config = naming(cellName({ setting, seed }), () =>
        parseConfig({ ...setting.raw, seed, output: null }),
      );
      return { setting, seed, config };
    }),
  );
  return { name, output, axes, seeds, settings, cells };
}

/** A grid over a configuration as it was written. Errors: those of `makeGrid`. */
export function gridOver(base: Raw, axes: readonly Axis[], seeds: SeedChoice): Grid {
  const rawOf = (values: readonly unknown[]) => {
    const raw = structuredClone(base);
    axes.forEach(({ key }, i) => {
      setKey(raw, key, structuredClone(values[i]));
    });
    return raw;
  };
  return makeGrid({ axes, seeds, rawOf });
}

/** Whether seeds other than its own would give a configuration other splits: no fixed seed of the split, and something to draw. */
export function seedsDrawSplits({ data }: Config): boolean {
  const { training, unseen } = data.groups;
  const drawn = [training, unseen].some((choice) => typeof choice === 'number');
  return data.splitSeed === null && (drawn || data.heldOutQuestions > 0);
}
