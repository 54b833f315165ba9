/**
 * Every failure a user can cause or meet has one code here, one line in docs/errors.md, and one exit code.
 * The set is closed: `test/core/errors.test.ts` compares it with the page in both directions.
 */

/** Exit codes by family, so that a script can tell "fix the config" from "the disk is full". */
export const EXIT = {
  usage: 2,
  data: 3,
  model: 4,
  device: 5,
  run: 6,
  io: 7,
  numeric: 8,
  access: 9,
  network: 10,
  internal: 70,
  interrupted: 130,
} as const;

const CODES = {
  USAGE: EXIT.usage,
  CONFIG_UNKNOWN_KEY: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  CONFIG_CONFLICT: EXIT.usage,
  DATA_FORMAT: EXIT.data,
  DATA_TRUNCATED: EXIT.data,
  DATA_OPTION_COUNT: EXIT.data,
  DATA_BAD_WEIGHT: EXIT.data,
  DATA_DUPLICATE: EXIT.data,
  DATA_EMPTY_GROUP: EXIT.data,
  DATA_UNKNOWN_GROUP: EXIT.data,
  DATA_UNKNOWN_SURVEY: EXIT.data,
  DATA_CONTEXT_TOO_LARGE: EXIT.data,
  FEATURES_MISSING: EXIT.model,
  FEATURES_WIDTH: EXIT.model,
  MODEL_MISMATCH: EXIT.model,
  VECTORS_MISMATCH: EXIT.model,
  DEVICE_UNAVAILABLE: EXIT.device,
  ENGINE_FAILED: EXIT.device,
  CHECKPOINT_MISMATCH: EXIT.run,
  CHECKPOINT_CORRUPT: EXIT.run,
  RUN_EXISTS: EXIT.run,
  RUN_NOT_FOUND: EXIT.run,
  FOLDER_IN_USE: EXIT.run,
  FOLDER_NOT_READY: EXIT.run,
  ROUND_FAILED: EXIT.run,
  ROUND_REFUSED: EXIT.run,
  UPDATE_MALFORMED: EXIT.run,
  UPDATE_LENGTH: EXIT.run,
  UPDATE_NOT_FINITE: EXIT.run,
  UPDATE_OUT_OF_RANGE: EXIT.run,
  UPDATE_OF_ANOTHER_ROUND: EXIT.run,
  UPDATE_OF_ANOTHER_MODEL: EXIT.run,
  UPDATE_OF_ANOTHER_GROUP: EXIT.run,
  UPDATE_CHANGED: EXIT.run,
  GROUP_NOT_ASKED: EXIT.run,
  FRAME_REFUSED: EXIT.run,
  DEPOSIT_REFUSED: EXIT.run,
  AGGREGATOR_UNKNOWN_RUN: EXIT.run,
  PRIVACY_BUDGET_SPENT: EXIT.run,
  REQUEST_UNSIGNED: EXIT.access,
  SIGNATURE_INVALID: EXIT.access,
  NONCE_REPLAYED: EXIT.access,
  CLOCK_SKEWED: EXIT.access,
  KEY_UNKNOWN: EXIT.access,
  KEY_REVOKED: EXIT.access,
  ADMIN_KEY_REQUIRED: EXIT.access,
  INVITATION_INVALID: EXIT.access,
  GROUP_TAKEN: EXIT.access,
  STAGE_TAKEN: EXIT.access,
  RUN_FULL: EXIT.access,
  AGGREGATOR_UNTRUSTED: EXIT.access,
  AGGREGATOR_UNREACHABLE: EXIT.network,
  AGGREGATOR_FAILED: EXIT.network,
  STORE_UNAVAILABLE: EXIT.network,
  ROUTE_UNKNOWN: EXIT.network,
  REQUEST_MALFORMED: EXIT.network,
  BODY_DIGEST: EXIT.network,
  BODY_TOO_LARGE: EXIT.network,
  RATE_LIMITED: EXIT.network,
  UPLOAD_DIGEST: EXIT.network,
  UPLOAD_RANGE: EXIT.network,
  UPLOAD_INCOMPLETE: EXIT.network,
  FILE_NOT_FOUND: EXIT.io,
  FILE_UNREADABLE: EXIT.io,
  WRITE_FAILED: EXIT.io,
  DISK_FULL: EXIT.io,
  NOT_FINITE: EXIT.numeric,
  INTERRUPTED: EXIT.interrupted,
  INTERNAL: EXIT.internal,
} as const;

export type ErrorCode = keyof typeof CODES;

/** All codes, in the order of docs/errors.md. */
export const ERROR_CODES = Object.keys(CODES) as readonly ErrorCode[];

/** The process exit code that belongs to an error code. */
export function exitCodeOf(code: ErrorCode): number {
  return CODES[code];
}

/**
 * The one error class of the toolkit.
 *
 * `message` says what is wrong and where; `hint` says what to do about it. Both are shown to the user.
 */
export class PluralError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PluralError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** Turns anything thrown into a PluralError: its own kind passes through, the rest becomes INTERNAL. */
export function asPluralError(thrown: unknown): PluralError {
  if (thrown instanceof PluralError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PluralError('INTERNAL', message, { cause: thrown });
}

/** Throws INTERNAL when a condition that our own code guarantees does not hold. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new PluralError('INTERNAL', `invariant broken: ${message}`);
}
