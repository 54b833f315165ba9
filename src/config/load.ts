import { isMap, parseDocument } from 'yaml';
import { PluralError } from '../core/errors.ts';
import { readFileText } from '../core/files.ts';
import { type Config, parseConfig } from './config.ts';

/** A configuration as it was written, before defaults and checks. */
export type Raw = Record<string, unknown>;

function isRecord(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of a YAML text; `where` names it in messages. Errors: CONFIG_INVALID. */
export function parseYaml(text: string, where: string): unknown {
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem !== undefined) {
    throw new PluralError('CONFIG_INVALID', `${where}: ${problem.message.split('\n')[0]}`, {
      hint: 'The file must be valid YAML.',
    });
  }
  try {
    return document.toJS();
  } catch (thrown) {
    // Aliases are looked up only now: one without an anchor, or a bomb of them.
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PluralError('CONFIG_INVALID', `${where}: ${reason}`, {
      hint: 'Write the values out instead of using YAML aliases.',
      cause: thrown,
    });
  }
}

/** One `key.path=value` of the command line; the value is read as YAML, so lists and numbers work. */
export function applyOverride(raw: Raw, override: string): void {
  const { key, value } = keyAndValue(override);
  setKey(raw, key, parseYaml(value, override));
}

/** The two sides of `key.path=value`. Errors: USAGE where it is none. */
export function keyAndValue(override: string): { readonly key: string; readonly value: string } {
  const at = override.indexOf('=');
  const key = override.slice(0, Math.max(0, at));
  if (key.split('.').includes('')) {
    throw new PluralError('USAGE', `"${override}" is not of the form key=value`, {
      hint: 'Example: training.rounds=20',
    });
  }
  return { key, value: override.slice(at + 1) };
}

/** Sets the value at a dotted key, and makes the sections on the way to it. */
export function setKey(raw: Raw, key: string, value: unknown): void {
  const path = key.split('.');
  const last = path.pop()!;
  let target = raw;
  for (const name of path) {
    const member = Object.hasOwn(target, name) ? target[name] : undefined;
    const next: Raw = isRecord(member) ? member : {};
    setOwn(target, name, next);
    target = next;
  }
  setOwn(target, last, value);
}

/** Sets a key even where it is called `__proto__`; the schema refuses such a key by name afterwards. */
function setOwn(target: Raw, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}

/**
 * A configuration from a YAML file and overrides. Errors: FILE_NOT_FOUND, USAGE, and those of `parseConfig`.
 */
export function loadConfig(path: string, overrides: readonly string[] = []): Config {
  return configFrom(readFileText(path), path, overrides);
}

/** The same from YAML text; `where` names it in messages. */
export function configFrom(text: string, where: string, overrides: readonly string[] = []): Config {
  return parseConfig(rawFrom(text, where, overrides));
}

/** YAML text and overrides before any key is checked. Errors: USAGE, CONFIG_INVALID for what is no YAML of keys and values. */
export function rawFrom(text: string, where: string, overrides: readonly string[]): Raw {
  const document = parseDocument(text);
  if (document.errors.length === 0 && document.contents !== null && !isMap(document.contents)) {
    throw new PluralError('CONFIG_INVALID', `${where}: expected keys and values`, {
      hint: 'See configs/quickstart.yaml for an example.',
    });
  }
  const parsed = parseYaml(text, where);
  const raw: Raw = isRecord(parsed) ? parsed : {};
  for (const override of overrides) applyOverride(raw, override);
  return raw;
}
