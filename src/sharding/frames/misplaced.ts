import { PluralError } from '../../core/errors.ts';

/** A frame that does not fit what its receiver is doing. */
export function misplaced(reason: string): PluralError {
  return new PluralError('FRAME_REFUSED', `a frame was refused: ${reason}`, {
    hint: 'The round can be tried again.',
  });
}
