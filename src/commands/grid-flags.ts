import { keyAndValue, parseYaml } from '../config/load.ts';
import { PluralError } from '../core/errors.ts';
import type { Axis } from '../report/grid/records.ts';
import type { SeedChoice } from '../simulate/grid/grid.ts';

/** `5`: five seeds, counted from the configuration's; `0,3,7`: these. Errors: USAGE. */
export function parseSeeds(text: string): NonNullable<SeedChoice> {
  const words = text.split(',').map((word) => word.trim());
  const numbers = words.map(Number);
  const whole = words.every((word, i) => /^\d+$/.test(word) && Number.isSafeInteger(numbers[i]));
  if (!whole || (numbers.length === 1 && numbers[0] === 0)) {
    throw new PluralError('USAGE', `--seeds "${text}" is neither a number of seeds nor a list of them`, {
      hint: 'Examples: --seeds 5 for five of them, --seeds 0,3,7 for these. One seed: --seed 7.',
    });
  }
  return numbers.length === 1 ? { count: numbers[0]! } : { list: numbers };
}

/**
 * `key.path=a,b`: each value is read as YAML; `key=[[5,10],[5,25]]`: a YAML list of the values, for values with commas.
 * Errors: USAGE, CONFIG_INVALID for what is no YAML.
 */
export function parseAxis(text: string): Axis {
  const { key, value } = keyAndValue(text);
  // Commas and brackets mean in one list of YAML what they mean here; a single item that is a list is the list itself.
  const items = parseYaml(`[${value}]`, `--grid ${text}`);
  if (!Array.isArray(items)) {
    throw new PluralError('USAGE', `--grid "${text}" has no list of values`, {
      hint: 'Example: --grid training.localSteps=3,6',
    });
  }
  const [only] = items;
  return { key, values: items.length === 1 && Array.isArray(only) ? only : items };
}
