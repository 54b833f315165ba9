import { canonicalJson } from '../../core/digest.ts';

/** Longest slug: with the folders around it a path stays far below the 260 characters of Windows. */
const LONGEST = 72;
const LONGEST_PART = 28;

/** The slug of the one setting of a grid that varies nothing but seeds. */
const UNVARIED = 'as-configured';

/** A value as people read it: strings as they are, anything else as JSON. */
export function valueText(value: unknown): string {
  return typeof value === 'string' ? value : canonicalJson(value);
}

/** Lower case, because folders of Windows and macOS do not tell cases apart; no dot or dash at either end. */
function cleaned(text: string, longest: number): string {
  const safe = text.toLowerCase().replace(/[^a-z0-9.]+/g, '-');
  return trimmed(trimmed(safe).slice(0, longest)) || 'x';
}

function trimmed(text: string): string {
  return text.replace(/^[-.]+|[-.]+$/g, '');
}

/** The last part of a key, or all of it where that would not say which: many sections have a `name`. */
function shortKey(key: string, keys: readonly string[]): string {
  const last = (path: string) => path.split('.').at(-1) ?? path;
  const clear = last(key) !== 'name' && keys.filter((other) => last(other) === last(key)).length === 1;
  return clear ? last(key) : key;
}

/** A setting where room is short: `rounds 20, predictor.name gpo`. */
export function shortLabel(keys: readonly string[], values: readonly unknown[]): string {
  if (keys.length === 0) return 'as configured';
  return keys.map((key, i) => `${shortKey(key, keys)} ${valueText(values[i])}`).join(', ');
}

function slugOf(keys: readonly string[], values: readonly unknown[]): string {
  if (keys.length === 0) return UNVARIED;
  const parts = keys.map((key, i) => {
    const name = cleaned(
      shortKey(key, keys)
        .replace(/\./g, '-')
        .replace(/([a-z])([A-Z])/g, '$1-$2'),
      LONGEST_PART,
    );
    return `${name}-${cleaned(valueText(values[i]), LONGEST_PART)}`;
  });
  return trimmed(parts.join('_').slice(0, LONGEST));
}

/**
 * Names of folders, one for each setting: of letters, digits, dots, dashes and underscores alone, at most 80 characters, no two
 * alike on any file system, none that a system keeps for itself. `settings`: for each the values of the keys.
 */
export function slugsOf(keys: readonly string[], settings: readonly (readonly unknown[])[]): string[] {
  const taken = new Set<string>();
  return settings.map((values) => {
    const slug = slugOf(keys, values);
    let own = slug;
    for (let n = 2; taken.has(own); n++) own = `${slug}-${n}`;
    taken.add(own);
    return own;
  });
}
