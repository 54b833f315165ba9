import type { PluralError } from '../core/errors.ts';
import type { Aggregator } from './aggregator.ts';
import { httpStatusOf } from './http-status.ts';
import { changeRun } from './locked-run.ts';
import type { Member } from './members.ts';

/** Longest text of a refusal that is kept. */
const MOST_CHARACTERS = 500;

/** Tells in the run's events that a submission was refused; faults of the server are in its log instead. */
export async function noteRefusal(
  aggregator: Aggregator,
  { run, group_id: group }: Member,
  { code, message }: PluralError,
): Promise<void> {
  if (httpStatusOf(code) >= 500) return;
  await changeRun(aggregator, run, (locked) =>
    locked.event('refused', { group, code, message: message.slice(0, MOST_CHARACTERS) }),
  );
}
