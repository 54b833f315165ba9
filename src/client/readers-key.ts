import { z } from 'zod';
import { bytesFrom } from '../core/bytes.ts';
import { PluralError } from '../core/errors.ts';
import { isPrivate, readFileText } from '../core/files.ts';
import type { Protection } from '../privacy/protection.ts';
import { readersFingerprint } from '../privacy/readers-key.ts';
import { digestSchema, type RunDefinition } from '../wire/run-definition.ts';

/** The one line of a key's file: 32 bytes in hex digits. */
const LINE = /^([0-9a-f]{64})\r?\n?$/;

/** Reads a readers' key that a group was given without the aggregator. Errors: FILE_NOT_FOUND, FILE_UNREADABLE where others can read it, DATA_FORMAT. */
export function readReadersKey(path: string): Uint8Array {
  const [, digits] = LINE.exec(readFileText(path)) ?? [];
  if (!isPrivate(path)) {
    throw new PluralError('FILE_UNREADABLE', `${path} can be read by others than its owner`, {
      hint: `A key must not be: chmod 600 ${path}, and think about who may have read it.`,
    });
  }
  if (digits !== undefined) return bytesFrom(digits);
  throw new PluralError('DATA_FORMAT', `${path} is no readers' key`, {
    hint: 'Its one line is 64 hex digits, as "pluralllm group readers-key" writes them.',
  });
}

const planSchema = z.looseObject({ aggregator: z.looseObject({ readers: digestSchema.nullable() }) });

/** The fingerprint that a run's definition names its readers' key by; null where it names none. */
function namedBy({ plan }: RunDefinition): string | null {
  const parsed = planSchema.safeParse(plan.config);
  return parsed.success ? parsed.data.aggregator.readers : null;
}

function refused(message: string, hint: string): PluralError {
  return new PluralError('CONFIG_CONFLICT', message, { hint });
}

/**
 * What a group reads the models of a run with; null where the aggregator has them in clear. Who has a readers' key expects an aggregator
 * that has no model: a run in which it has them all is refused, for whoever wrote its definition could otherwise take that back
 * without a word. Errors: CONFIG_CONFLICT.
 */
export function readersKeyFor(
  definition: RunDefinition,
  { sealedSums }: Protection,
  readersKey: Uint8Array | null,
): Uint8Array | null {
  if (sealedSums !== null) return checkedReadersKey(definition, readersKey);
  if (readersKey === null) return null;
  throw refused(
    "this group has a readers' key, but by its definition the aggregator of this run has the sums and the models in clear",
    'Ask those who started the run whether that is meant. If it is, join without --readers-key; a key from a run before goes with "group leave", or with readers-key.json in the folder.',
  );
}

/**
 * The readers' key of a run whose aggregator holds ciphertext, if this is it. So no group takes part with another one: it would read
 * nothing, and nobody could read what it answers. Errors: CONFIG_CONFLICT.
 */
function checkedReadersKey(definition: RunDefinition, readersKey: Uint8Array | null): Uint8Array {
  if (readersKey === null) {
    throw refused(
      "the aggregator of this run holds ciphertext only: its models are read with the readers' key that its groups share",
      'Get the file from another group, not over the aggregator, and join with --readers-key FILE.',
    );
  }
  const named = namedBy(definition);
  if (named === null) {
    throw refused(
      "the definition of this run does not say whose readers' key opens its sums",
      'Ask those who started the run for one with aggregator.readers.',
    );
  }
  const own = readersFingerprint(readersKey);
  if (own === named) return readersKey;
  throw refused(
    `the readers' key is not that of this run: its fingerprint is ${own.slice(0, 12)}, the run names ${named.slice(0, 12)}`,
    'Get the file that the other groups have. If nobody has it, ask those who started the run which key they named.',
  );
}
