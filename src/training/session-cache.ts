import { sha256 } from '../core/digest.ts';
import type { Device } from './device.ts';
import { type GraphSession, openSession } from './session.ts';

/** So many graphs are kept open: more than any one run has. */
const MOST_OPEN = 8;

/** Sessions by device and digest of the graph, the one used last at the end. */
const open = new Map<string, Promise<GraphSession>>();

/**
 * The session of a graph, opened once in this thread however many engines compute with it: opening takes as long as many runs. It is
 * not for the caller to close; what is not used any more is dropped. Errors: those of `openSession`.
 */
export function sharedSession(model: Uint8Array, device: Device): Promise<GraphSession> {
  const key = `${device} ${sha256(model)}`;
  const session = open.get(key) ?? openSession(model, device);
  open.delete(key);
  open.set(key, session);
  // A session that could not be opened is tried again by who asks next.
  session.catch(() => open.get(key) === session && open.delete(key));
  const [oldest] = open.keys();
  if (open.size > MOST_OPEN && oldest !== undefined) open.delete(oldest);
  return session;
}
