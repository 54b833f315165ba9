import { invariant } from '../../core/errors.ts';
import { loadRing, type SealRing } from './seal-ring.ts';

let ring: SealRing | undefined;

/** Loads SEAL, once for each process: its module can only be loaded asynchronously, and rounds are not. */
export async function prepareRing(): Promise<void> {
  ring = await loadRing();
}

/** SEAL's ring, which whoever made the protection has prepared. */
export function loadedRing(): SealRing {
  invariant(ring !== undefined, 'a protection that was prepared');
  return ring;
}
