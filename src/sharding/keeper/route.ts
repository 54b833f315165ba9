import type { FrameHeader } from '../../wire/shard-frame.ts';
import { misplaced } from '../frames/misplaced.ts';
import { type Keeping, type Seats, sidesOf } from '../frames/seats.ts';
import type { TaskRows } from '../parts/part-session.ts';

/** What a keeper is, as far as frames that come to it go by it. */
export interface Place {
  /** Digest of the run. */
  readonly run: string;
  readonly id: string;
  /** Number of its stage. */
  readonly index: number;
  readonly seats: Seats;
  readonly keeping: Keeping;
  readonly width: number;
  readonly epoch: number;
  /** Most points of a task: a stage's memory grows with their product. */
  readonly most: TaskRows;
}

/**
 * A frame must come from the part on the other side of a boundary of this stage, in this epoch, and be of the shape that goes over it.
 * Errors: FRAME_REFUSED.
 */
export function checkRoute(header: FrameHeader, place: Place): void {
  const { run, id, index, seats, keeping, width, epoch, most } = place;
  const { kind, boundary, group, context, target } = header;
  if (header.run !== run || header.to !== id) throw misplaced('it is for somebody else');
  const seated = kind === 'probe' ? keeping.slice(0, 1) : seats.groups.map((seat) => seat.id);
  if (!seated.includes(group)) throw misplaced('its group has no seat');
  const back = kind === 'backward';
  if (boundary !== index + (back ? 1 : 0)) throw misplaced(`boundary ${boundary} is not of this stage`);
  const sides = sidesOf(keeping, group, boundary);
  if (header.from !== (back ? sides.after : sides.before)) {
    throw misplaced('it is not from the part next to this');
  }
  if (header.epoch !== epoch) throw misplaced(`it is of epoch ${header.epoch}, not ${epoch}`);
  if (context > most.context || target > most.target) throw misplaced('its task has too many points');
  const rows = boundary === keeping.length ? target : context + target;
  if (header.rows !== rows || header.width !== width) throw misplaced('it is of another shape');
}
