import { PluralError } from '../../core/errors.ts';
import { keyPairOf } from '../../privacy/secure-sum/key-agreement.ts';
import type { LateSeats } from '../../sharding/frames/introductions.ts';
import { checkSeats, mayKeep, type Newcomer, type Seats, takeSeat } from '../../sharding/frames/seats.ts';
import { type Identity, publicKeySchema } from '../../wire/identity.ts';
import type { SeatAnswer } from '../../wire/sharding.ts';
import type { AggregatorApi } from '../api.ts';
import { systemSleep } from '../retry.ts';
import type { LinkStore } from './means.ts';
import type { ShardedPlan } from './sharded-plan.ts';

const ASK_EVERY_MS = 1000;

/** Takes the seat of a key in a run, with the agreement key of a secret of 32 bytes. Errors: RUN_FULL, STAGE_TAKEN, those of the API. */
export function takeOwnSeat(
  api: AggregatorApi,
  run: string,
  identity: Identity,
  secret: Uint8Array,
): Promise<SeatAnswer> {
  const { agreementKey, signature } = takeSeat(run, identity, keyPairOf(secret).publicKey);
  return api.takeSeat({ agreementKey, signature });
}

/** The same for a group, unless it has its links with the keepers already. */
export async function takeGroupSeat(
  api: AggregatorApi,
  home: { identity(): Identity; readonly links: Pick<LinkStore, 'seatSecret'> },
  run: string,
): Promise<void> {
  const secret = home.links.seatSecret();
  if (secret !== null) await takeOwnSeat(api, run, home.identity(), secret);
}

/** The seats of a run. */
export interface SeatsNow {
  /** Those of the beginning. */
  readonly seats: Seats;
  /** All who came since, to be checked by who admits them. */
  readonly newcomers: readonly Newcomer[];
}

/** The seats of a run, once it has begun; null where it has not. Errors: STAGE_TAKEN and SIGNATURE_INVALID for seats that cannot be. */
export async function seatsNow(api: Pick<AggregatorApi, 'seats'>, run: string): Promise<SeatsNow | null> {
  const { seats, newcomers } = await api.seats();
  if (seats === null) return null;
  checkSeats(run, seats);
  return { seats, newcomers };
}

/** Who may come later, as the definition of a run says and a list of keepers, if there is one. */
export function lateSeats(
  { lateKeepers, lateGroups }: ShardedPlan['sharding'],
  accepted: readonly string[] | null,
): LateSeats {
  const counts = { keepers: lateKeepers, groups: lateGroups };
  return accepted === null ? counts : { ...counts, accepts: (id) => accepted.includes(id) };
}

/** Whoever invites keepers can invite himself under several keys: a list that was agreed upon without him says who they are. Errors: AGGREGATOR_UNTRUSTED. */
export function checkKeepers(seats: Seats, accepted: readonly string[] | null): void {
  if (accepted === null) return;
  const strange = mayKeep(seats).find(({ id }) => !accepted.includes(id));
  if (strange === undefined) return;
  throw new PluralError(
    'AGGREGATOR_UNTRUSTED',
    `${strange.id} keeps a stage and is not on the list of keepers`,
    {
      hint: 'Ask the people who run the aggregator, and those who made the list, before going on.',
    },
  );
}

/** The keys in a file of keepers: one public key a line; empty lines and lines that begin with # are left out. Errors: CONFIG_INVALID. */
export function parseKeepers(text: string, path: string): string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.flatMap((line, index) => {
    if (line === '' || line.startsWith('#')) return [];
    const key = publicKeySchema.safeParse(line);
    if (key.success) return [key.data];
    throw new PluralError('CONFIG_INVALID', `${path}, line ${index + 1}: this is no public key`, {
      hint: 'One public key a line, as "pluralllm keeper init" printed it.',
    });
  });
}

/** Whoever stands by is told of a stage: an aggregator must not name more of them than the run's definition, which a keeper joined by, has. Errors: STAGE_TAKEN. */
export function checkStandbys({ standbys }: Seats, most: number): void {
  if (standbys.length <= most) return;
  throw new PluralError('STAGE_TAKEN', `${standbys.length} are said to stand by, the run has ${most}`, {
    hint: 'Whoever stands by for a stage is told of it: do not go on before it is explained.',
  });
}

/** Waits until the run begins. Errors: as `seatsNow`; INTERRUPTED. */
export async function seatsWhenBegun(
  api: Pick<AggregatorApi, 'seats'>,
  run: string,
  signal: AbortSignal,
): Promise<SeatsNow> {
  for (;;) {
    const now = await seatsNow(api, run);
    if (now !== null) return now;
    await systemSleep(ASK_EVERY_MS, signal);
  }
}
