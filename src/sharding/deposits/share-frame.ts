import { bytesFrom, hexOf } from '../../core/bytes.ts';
import type { FrameHeader } from '../../wire/shard-frame.ts';
import { misplaced } from '../frames/misplaced.ts';
import { type Keeping, type Seats, stageOf } from '../frames/seats.ts';
import type { Frame } from '../parts/part-session.ts';

const ID_BYTES = 16;
const SHARE_BYTES = 32;
const WIDTH = ID_BYTES + SHARE_BYTES;

/** A share, and the deposit whose key it is of. */
export interface IdentifiedShare {
  readonly id: string;
  readonly share: Uint8Array;
}

/** A share as a frame: the id of its deposit, then its bytes, as one row of numbers from 0 to 255. */
export function frameOfShare({ id, share }: IdentifiedShare): Frame {
  return { data: Float32Array.from([...bytesFrom(id), ...share]), rows: 1, width: WIDTH };
}

/** The share in a frame of the shape that `checkShareRoute` lets pass. */
export function shareOfFrame({ data }: Frame): IdentifiedShare {
  const bytes = Uint8Array.from(data);
  return { id: hexOf(bytes.subarray(0, ID_BYTES)), share: bytes.slice(ID_BYTES) };
}

/** What a frame with a share must fit. */
interface ShareRoute {
  readonly run: string;
  readonly id: string;
  /** Number of the own stage. */
  readonly index: number;
  readonly seats: Seats;
  readonly keeping: Keeping;
}

/**
 * Whether a share is `given` to be kept, by who keeps the stage whose deposit it opens, or `revealed`, by a holder of another stage to one of the stage that is to be recovered.
 * Errors: FRAME_REFUSED.
 */
export function checkShareRoute(header: FrameHeader, place: ShareRoute): 'given' | 'revealed' {
  const { run, id, index, seats, keeping } = place;
  const { from, boundary: stage } = header;
  if (header.run !== run || header.to !== id) throw misplaced('it is for somebody else');
  const shaped = header.type === 'uint8' && header.rows === 1 && header.width === WIDTH;
  if (!shaped || header.group !== from) throw misplaced('no share is in it');
  if (stage !== index && keeping[stage] === from) return 'given';
  const sender = stageOf(seats, from);
  if (stage === index && sender !== null && sender !== index) return 'revealed';
  throw misplaced('who sent it has no share to tell here');
}
