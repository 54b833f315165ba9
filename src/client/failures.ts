import { type ErrorCode, PluralError } from '../core/errors.ts';

/** Answers that mean: things have moved on, look at the task again. */
export const MOVED_ON: readonly ErrorCode[] = [
  'UPDATE_OF_ANOTHER_ROUND',
  'UPDATE_OF_ANOTHER_MODEL',
  'UPDATE_CHANGED',
  'GROUP_NOT_ASKED',
  'ROUND_REFUSED',
];
/** Answers that mean: what was uploaded is not there as it should be. */
export const UPLOAD_TROUBLE: readonly ErrorCode[] = ['UPLOAD_INCOMPLETE', 'UPLOAD_RANGE', 'UPLOAD_DIGEST'];

/** What a group gives an attempt of a round up with: it waits for the next. */
export function sitsOut(round: number, reason: string, hint?: string): PluralError {
  return new PluralError('ROUND_REFUSED', `this group takes no further part in round ${round}: ${reason}`, {
    hint: hint ?? 'It takes part again from the next round on.',
  });
}

/** Whether something failed with one of these codes. */
export function isCode(thrown: unknown, codes: readonly ErrorCode[]): thrown is PluralError {
  return thrown instanceof PluralError && codes.includes(thrown.code);
}
