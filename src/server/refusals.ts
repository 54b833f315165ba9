import type { PluralError } from '../core/errors.ts';
import type { Aggregator } from './aggregator.ts';
import { httpStatusOf } from './http-status.ts';
import { changeRun } from './locked-run.ts';
import type { Member } from './members.ts';

/** Longest text of a refusal that is kept. */
const MOST_CHARACTERS = 500;
/** What a refused update calls itself may be anything: databases keep no NUL and no half of a surrogate pair. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

function printable(text: string): string {
  return text.slice(0, MOST_CHARACTERS).replaceAll(UNPRINTABLE, '\ufffd');
}

/** Tells in the run's events that a submission was refused; faults of the server are in its log instead. */
export async function noteRefusal(
  aggregator: Aggregator,
  { run, group_id: group }: Member,
  { code, message }: PluralError,
): Promise<void> {
  if (httpStatusOf(code) >= 500) return;
  await changeRun(aggregator, run, (locked) =>
    locked.event('refused', { group, code, message: printable(message) }),
  );
}
