import type { FrameHeader } from '../../wire/shard-frame.ts';
import { misplaced } from '../frames/misplaced.ts';
import type { Frame } from '../parts/part-session.ts';
import type { PartMemory } from '../parts/part-state.ts';
import type { Place } from './route.ts';

/** In the header's `step`: what the stage is for good, or what it is while a morph is not settled. */
export const SETTLED = 0;
export const UNSETTLED = 1;

/** A stage with its moments as one frame of rows of `width`: parameters, both moments, number of steps, and zeros to the end of the row. */
export function frameOfStage({ masters, first, second, steps }: PartMemory, width: number): Frame {
  const numbers = [...[masters, first, second].flatMap((values) => [...values]), steps];
  const rows = Math.ceil(numbers.length / width);
  const data = new Float64Array(rows * width);
  data.set(numbers);
  return { data, rows, width };
}

/** The stage of such a frame, for a stage of `size` parameters. Errors: FRAME_REFUSED where it is not of that size. */
export function stageOfFrame({ data }: Frame, size: number, width: number): PartMemory {
  const length = 3 * size + 1;
  const steps = data[length - 1] ?? -1;
  if (data.length !== Math.ceil(length / width) * width || !Number.isSafeInteger(steps) || steps < 0) {
    throw misplaced('no stage of this size is in it');
  }
  const [masters, first, second] = [0, size, 2 * size].map((start) =>
    Float64Array.from(data.subarray(start, start + size)),
  );
  return { masters: masters!, first: first!, second: second!, steps };
}

/** A stage comes from who keeps it now: who only stands by for it, too, tells nobody what it is. Errors: FRAME_REFUSED. */
export function checkStageRoute(header: FrameHeader, { run, id, index, keeping }: Place): void {
  if (header.run !== run || header.to !== id) throw misplaced('it is for somebody else');
  const fellow = keeping[index] === header.from && header.from !== id;
  if (!fellow || header.group !== header.from || header.boundary !== index || header.type !== 'float64') {
    throw misplaced('who sent it does not keep this stage');
  }
}
