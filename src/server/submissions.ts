import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { RefusalReason } from '../round/aggregator.ts';
import type { AggregatorState } from '../round/aggregator-state.ts';
import { checkOrigin, type ReceivedUpdate, viewSubmission } from '../wire/submission.ts';
import type { Aggregator } from './aggregator.ts';
import { type Collections, currentRound } from './collections.ts';
import type { Gate } from './gate.ts';
import { changeRun, type LockedRun } from './locked-run.ts';
import type { Member } from './members.ts';
import { newestRecord } from './models.ts';
import type { OpenPlan } from './plan.ts';
import { completeUpload } from './uploads.ts';
import type { WorkMemory } from './work-memory.ts';

/** What a group says that it submits. */
export interface Claim {
  readonly round: number;
  readonly step: number;
  readonly digest: string;
}

const REFUSALS: Readonly<
  Record<
    RefusalReason,
    { readonly code: 'UPDATE_OF_ANOTHER_ROUND' | 'GROUP_NOT_ASKED' | 'UPDATE_CHANGED'; text: string }
  >
> = {
  'wrong-round': { code: 'UPDATE_OF_ANOTHER_ROUND', text: 'this round is not under way' },
  'wrong-step': { code: 'UPDATE_OF_ANOTHER_ROUND', text: 'this step is not under way' },
  'not-asked': { code: 'GROUP_NOT_ASKED', text: 'the step does not ask this group' },
  'not-collecting': { code: 'GROUP_NOT_ASKED', text: 'the step is over' },
  'changed-submission': { code: 'UPDATE_CHANGED', text: 'another update of this group was accepted before' },
};

function refusal(reason: RefusalReason, { group_id }: Member, { round }: Claim): PluralError {
  const { code, text } = REFUSALS[reason];
  return new PluralError(code, `group "${group_id}", round ${round}: ${text}`, {
    hint: 'The group should look up what is asked of it now.',
  });
}

/** What of a submission stands in its bytes, after all that can be checked without the run's state. */
interface Checked {
  readonly received: ReceivedUpdate;
  readonly capacity: number;
  readonly note: Buffer;
  /** The opening of the round that it was checked against. */
  readonly attempt: number;
  readonly blob: string;
  readonly upload: string;
  readonly size: number;
}

function checkClaim({ update, origin }: ReceivedUpdate, member: Member, claim: Claim): void {
  if (update.group !== member.group_id) {
    throw new PluralError(
      'UPDATE_OF_ANOTHER_GROUP',
      `the update is of group "${update.group}", the key is of "${member.group_id}"`,
      { hint: 'Each group sends its own update with its own key.' },
    );
  }
  if (update.round === claim.round && origin.step === claim.step) return;
  throw new PluralError(
    'UPDATE_OF_ANOTHER_ROUND',
    `the update says round ${update.round}, step ${origin.step}; the request says ${claim.round}, ${claim.step}`,
    { hint: 'The group should train again from the current model.' },
  );
}

function bytesGone(): PluralError {
  return new PluralError('UPLOAD_INCOMPLETE', 'the uploaded bytes are not there any more', {
    hint: 'Upload them again.',
  });
}

/** What submissions are checked with. */
export interface Intake {
  readonly aggregator: Aggregator;
  readonly gate: Gate;
  readonly collections: Collections;
  readonly plan: OpenPlan;
}

/** What can only be checked against the step under way is not checked for another. */
function placeRefusal({ round, step }: AggregatorState, claim: Claim): RefusalReason | null {
  if (claim.round !== round) return 'wrong-round';
  return claim.step === step ? null : 'wrong-step';
}

/** Reads and checks an uploaded submission. Errors: those of `viewSubmission` and of `Collection.screen`. */
async function check(
  { aggregator, collections, plan }: Intake,
  memory: WorkMemory,
  member: Member,
  claim: Claim,
): Promise<Checked> {
  const { id, blob, size } = await completeUpload(aggregator, member, claim.digest);
  const bytes = await aggregator.blobs.read(blob, memory.take(size));
  if (bytes === null || sha256(bytes) !== claim.digest) {
    throw bytesGone();
  }
  const received = viewSubmission(bytes);
  checkClaim(received, member, claim);
  const current = await currentRound(aggregator, member.run);
  const reason = placeRefusal(current.state, claim);
  if (reason !== null) throw refusal(reason, member, claim);
  const collection = await collections.at(aggregator, plan, current);
  const capacity = collection.screen(claim.step, received.update, member.public_key);
  const note = Buffer.from(collection.noteOf(claim.step, received.update));
  return { received, capacity, attempt: current.state.attempt, note, blob, upload: id, size };
}

/** All submissions of a round together must fit its sum, so that the fold refuses none of them. */
async function checkCapacity(locked: LockedRun, claim: Claim, capacity: number): Promise<void> {
  const { taken } = await locked.tx
    .selectFrom('submissions')
    .select(({ fn }) => fn.sum<number | null>('capacity').as('taken'))
    .where('run', '=', locked.run)
    .where('round', '=', claim.round)
    .where('step', '=', claim.step)
    .executeTakeFirstOrThrow();
  if (Number(taken ?? 0) + capacity < 1) return;
  throw new PluralError(
    'UPDATE_OUT_OF_RANGE',
    'with this update the sum of the round would be too large to be exact',
    {
      hint: 'Check the weights and the learning rates of the groups.',
    },
  );
}

/** The digest that was accepted of this group in this step, in the opening of the round that is under way. */
async function acceptedBefore(
  { db }: Aggregator,
  member: Member,
  { round, step }: Claim,
): Promise<string | null> {
  const row = await db
    .selectFrom('submissions')
    .select('digest')
    .where('run', '=', member.run)
    .where('round', '=', round)
    .where('step', '=', step)
    .where('group_id', '=', member.group_id)
    .executeTakeFirst();
  return row?.digest ?? null;
}

/** Null where another replica has taken the same meanwhile: then the upload is there no more. */
async function checkUnlessTaken(
  intake: Intake,
  memory: WorkMemory,
  member: Member,
  claim: Claim,
): Promise<Checked | null> {
  try {
    return await check(intake, memory, member, claim);
  } catch (thrown) {
    if ((await acceptedBefore(intake.aggregator, member, claim)) === claim.digest) return null;
    throw thrown;
  }
}

async function keep(
  locked: LockedRun,
  member: Member,
  claim: Claim,
  checked: Checked,
  now: number,
): Promise<void> {
  const { blob, size, capacity, note } = checked;
  await locked.tx
    .insertInto('submissions')
    .values({
      run: locked.run,
      round: claim.round,
      step: claim.step,
      group_id: member.group_id,
      digest: claim.digest,
      blob,
      size,
      capacity,
      note,
      accepted_at: now,
      kept: true,
    })
    .execute();
  const taken = await locked.tx.deleteFrom('uploads').where('id', '=', checked.upload).executeTakeFirst();
  // Given up for another while it was checked: its bytes may be gone, and no fold could ever do without them.
  if (taken.numDeletedRows === 0n) throw bytesGone();
}

/**
 * Takes what a group submits: all of it is checked before anything of it counts, and it is durable before it is
 * acknowledged. The same again is acknowledged again.
 * Errors: UPLOAD_INCOMPLETE, UPDATE_MALFORMED, UPDATE_LENGTH, UPDATE_NOT_FINITE, UPDATE_OUT_OF_RANGE, UPDATE_CHANGED,
 * UPDATE_OF_ANOTHER_ROUND, UPDATE_OF_ANOTHER_MODEL, UPDATE_OF_ANOTHER_GROUP, GROUP_NOT_ASKED.
 */
export async function submit(intake: Intake, member: Member, claim: Claim): Promise<{ repeated: boolean }> {
  const { aggregator, gate } = intake;
  const before = await acceptedBefore(aggregator, member, claim);
  if (before === claim.digest) return { repeated: true };
  if (before !== null) throw refusal('changed-submission', member, claim);
  return gate.run(async (memory) => {
    const checked = await checkUnlessTaken(intake, memory, member, claim);
    if (checked === null) return { repeated: true };
    const now = aggregator.clock.now();
    return changeRun(aggregator, member.run, async (locked) => {
      // Round and step first: an update of an old round was trained from an old model, too.
      const { group_id: group } = member;
      const { round, step, digest } = claim;
      const [answer] = await locked.deliver({ type: 'submission', group, round, step, digest });
      if (answer?.type === 'refuse') throw refusal(answer.reason, member, claim);
      if (answer?.type === 'acknowledge' && answer.repeated) return { repeated: true };
      if (locked.state.attempt !== checked.attempt) throw refusal('wrong-round', member, claim);
      const { model } = await newestRecord(locked);
      checkOrigin(checked.received, { run: locked.digest, model });
      await checkCapacity(locked, claim, checked.capacity);
      await keep(locked, member, claim, checked, now);
      return { repeated: false };
    });
  });
}
