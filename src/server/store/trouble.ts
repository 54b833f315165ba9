import { asPluralError, PluralError } from '../../core/errors.ts';

/**
 * Codes of PostgreSQL that pass when it is up again: connection (08), resources such as connections (53), restart (57P),
 * an idle transaction that was ended (25P03), and a standby that took over and does not write yet (25006).
 */
const PASSING_SQL_STATE = /^(?:08|53|57P|25P03|25006)/;
const PASSING_SYSTEM_ERROR = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;
/** What the driver, its pool and the query builder say of a connection that is gone; these have no code. */
const LOST_CONNECTION =
  /^(?:Connection terminated|Client (?:has encountered a connection error|was closed)|timeout e|Postgres connection has been discarded)/;

function isPassing(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const code = 'code' in thrown ? thrown.code : undefined;
  if (typeof code !== 'string') return LOST_CONNECTION.test(thrown.message);
  return PASSING_SQL_STATE.test(code) || PASSING_SYSTEM_ERROR.test(code);
}

/** Whatever was thrown; STORE_UNAVAILABLE where the database was away and the same may work later. */
export function asStoreError(thrown: unknown): PluralError {
  if (thrown instanceof PluralError || !isPassing(thrown)) return asPluralError(thrown);
  return new PluralError('STORE_UNAVAILABLE', 'the database does not answer', {
    hint: 'Try again; nothing that was acknowledged is lost.',
    cause: thrown,
  });
}
