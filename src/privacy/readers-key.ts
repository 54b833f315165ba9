import { hexOf } from '../core/bytes.ts';
import { invariant } from '../core/errors.ts';
import { keyFor } from './secure-sum/keys.ts';

/** Bytes of the key that all readers of a run share. */
export const READERS_KEY_BYTES = 32;

/**
 * What a run's definition names its readers' key by: 64 hex digits that say nothing else of it. So a group finds out that it has another
 * key before it sends anything, and a sum that does not open is never taken for a wrong key.
 */
export function readersFingerprint(readersKey: Uint8Array): string {
  invariant(readersKey.length === READERS_KEY_BYTES, `a readers' key of ${readersKey.length} bytes`);
  return hexOf(keyFor(readersKey, "fingerprint of a readers' key", {}));
}
