import { z } from 'zod';
import { PluralError } from './errors.ts';
import { suggestion } from './suggest.ts';

/** The keys that a schema knows at a path, through optional and default wrappers; empty where it is no object. */
function knownKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let current = unwrap(schema);
  for (const key of path) {
    if (!(current instanceof z.ZodObject)) return [];
    const member: z.core.$ZodType | undefined = current.shape[String(key)];
    if (member === undefined) return [];
    current = unwrap(member);
  }
  return current instanceof z.ZodObject ? Object.keys(current.shape) : [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let current = schema;
  while (
    current instanceof z.ZodOptional ||
    current instanceof z.ZodDefault ||
    current instanceof z.ZodPrefault ||
    current instanceof z.ZodNullable
  ) {
    current = current.unwrap();
  }
  return current;
}

function dotted(...parts: readonly PropertyKey[]): string {
  return parts.map(String).filter(Boolean).join('.');
}

function errorOf(where: string, schema: z.ZodType, issue: z.core.$ZodIssue | undefined): PluralError {
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    return new PluralError('CONFIG_UNKNOWN_KEY', `unknown key "${dotted(where, ...issue.path, key)}"`, {
      hint: suggestion(key, knownKeys(schema, issue.path)),
    });
  }
  const path = dotted(where, ...(issue?.path ?? []));
  return new PluralError('CONFIG_INVALID', `${path || 'configuration'}: ${issue?.message ?? 'invalid'}`, {
    hint: 'Correct the value in the configuration file or in the key=value override.',
  });
}

/** Deeper nesting than any option has; YAML aliases can even make a value that contains itself. */
const DEEPEST = 32;

/** Refuses `__proto__` at any depth: zod passes over such a key in silence where other keys are open. */
function checkNesting(value: unknown, path: readonly string[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (path.length > DEEPEST) {
    throw new PluralError('CONFIG_INVALID', `${dotted(...path.slice(0, 3))}: nested too deeply`, {
      hint: 'Write the value out; it may not contain itself.',
    });
  }
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') {
      throw new PluralError('CONFIG_UNKNOWN_KEY', `unknown key "${dotted(...path, key)}"`, {
        hint: 'Remove it: no option has this name.',
      });
    }
    checkNesting(member, [...path, key]);
  }
}

/**
 * Parses options by a strict schema. `where` is the place in the configuration that messages start with.
 * Errors: CONFIG_UNKNOWN_KEY with the nearest known key, CONFIG_INVALID with the place and what was expected.
 */
export function parseOptions<Schema extends z.ZodType>(
  where: string,
  schema: Schema,
  options: unknown,
): z.output<Schema> {
  checkNesting(options, [where]);
  const parsed = schema.safeParse(options ?? {});
  if (parsed.success) return parsed.data;
  throw errorOf(where, schema, parsed.error.issues[0]);
}
