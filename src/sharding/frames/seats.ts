import { PluralError } from '../../core/errors.ts';
import { type Identity, isSignedBy } from '../../wire/identity.ts';

/** A participant of a sharded run, as everybody may know it. */
export interface Seat {
  /** Ed25519 public key: who it is. */
  readonly id: string;
  /** X25519 public key of this run, 64 hex digits. */
  readonly agreementKey: string;
  /** Its own over both and the run: nobody puts another key in its place. */
  readonly signature: string;
}

/** Somebody who takes over a stage from its keeper. */
export interface Standby {
  /** Number of the stage. */
  readonly stage: number;
  readonly seat: Seat;
}

/** Who has which part of a sharded model: groups have front and head. */
export interface Seats {
  /** Who keeps each stage in the beginning, in order. */
  readonly keepers: readonly Seat[];
  readonly standbys: readonly Standby[];
  readonly groups: readonly Seat[];
}

/** Somebody who took a seat after the run began. */
export interface Newcomer {
  readonly seat: Seat;
  /** Number of the stage that a keeper stands by for; null of a group. */
  readonly stage: number | null;
}

/** Public keys of who keeps each stage now, in order. */
export type Keeping = readonly string[];

/** Fewest keepers: the middle one of three has no neighbour that is a group. */
const LEAST_KEEPERS = 3;

function signedBytes(run: string, { id, agreementKey }: Pick<Seat, 'id' | 'agreementKey'>): Uint8Array {
  return Buffer.from(['pluralllm-seat-v1', run, id, agreementKey].join('\n'));
}

/** The seat of an identity in a run. */
export function takeSeat(run: string, identity: Identity, agreementKey: string): Seat {
  const seat = { id: identity.publicKey, agreementKey };
  return { ...seat, signature: identity.sign(signedBytes(run, seat)) };
}

/** Whether a seat was taken by who it names. */
export function isOwnSeat(run: string, seat: Seat): boolean {
  return isSignedBy(seat.id, signedBytes(run, seat), seat.signature);
}

/** Refuses seats of which somebody would have more than one, or that their owners did not take. Errors: STAGE_TAKEN, SIGNATURE_INVALID. */
export function checkSeats(run: string, { keepers: first, standbys, groups }: Seats): void {
  const refused = (what: string) =>
    new PluralError('STAGE_TAKEN', what, { hint: 'Let somebody else keep the stage.' });
  if (first.length < LEAST_KEEPERS) {
    throw refused(`${first.length} stage(s) have a keeper, a sharded model has at least ${LEAST_KEEPERS}`);
  }
  const astray = standbys.find(({ stage }) => first[stage] === undefined);
  if (astray !== undefined)
    throw refused(`${astray.seat.id} stands by for stage ${astray.stage}: there is none`);
  const keepers = mayKeep({ keepers: first, standbys });
  const all = [...keepers, ...groups];
  const keeping = new Set(keepers.map(({ id }) => id));
  for (const named of ['id', 'agreementKey'] as const) {
    const values = all.map((seat) => seat[named]);
    const twice = all.find((seat, index) => values.indexOf(seat[named]) !== index);
    if (twice === undefined) continue;
    throw refused(`${twice.id} has two seats${keeping.has(twice.id) ? ', one of which keeps a stage' : ''}`);
  }
  const forged = all.find((seat) => !isOwnSeat(run, seat));
  if (forged !== undefined) {
    throw new PluralError('SIGNATURE_INVALID', `the seat of ${forged.id} is not signed by it`, {
      hint: 'Somebody put another key in its place. Ask the people who run the aggregator before going on.',
    });
  }
}

/** All who may keep a stage: who keeps each in the beginning, then those who stand by. */
export function mayKeep({ keepers, standbys }: Pick<Seats, 'keepers' | 'standbys'>): Seat[] {
  return [...keepers, ...standbys.map(({ seat }) => seat)];
}

/** Numbers of the other stages, of so many. */
export function otherStages(stage: number, stages: number): number[] {
  return Array.from({ length: stages }, (_, other) => other).filter((other) => other !== stage);
}

/** The seats of a run with those that were taken after it began. */
export function withNewcomers({ keepers, standbys, groups }: Seats, newcomers: readonly Newcomer[]): Seats {
  const late = newcomers.flatMap(({ seat, stage }) => (stage === null ? [] : [{ seat, stage }]));
  const guests = newcomers.filter(({ stage }) => stage === null).map(({ seat }) => seat);
  return { keepers, standbys: [...standbys, ...late], groups: [...groups, ...guests] };
}

/** All with whom somebody has a link: keepers with each other, groups with those who may keep the stages at both ends. */
export function linkedWith(seats: Seats, id: string): Seat[] {
  const last = seats.keepers.length - 1;
  const stage = stageOf(seats, id);
  if (stage === null) return [...holdersOf(seats, 0), ...holdersOf(seats, last)];
  const others = mayKeep(seats).filter((one) => one.id !== id);
  return stage === 0 || stage === last ? [...others, ...seats.groups] : others;
}

/** All who may keep a stage, its first keeper first; nobody for what is no stage. */
export function holdersOf({ keepers, standbys }: Pick<Seats, 'keepers' | 'standbys'>, stage: number): Seat[] {
  const first = keepers[stage];
  const others = standbys.filter((standby) => standby.stage === stage).map(({ seat }) => seat);
  return first === undefined ? others : [first, ...others];
}

/** The stage that somebody may keep; null for who has no such seat. */
export function stageOf(seats: Pick<Seats, 'keepers' | 'standbys'>, id: string): number | null {
  const stage = seats.keepers.findIndex((_, index) => holdersOf(seats, index).some((seat) => seat.id === id));
  return stage < 0 ? null : stage;
}

/** Who keeps each stage in the beginning. */
export function firstKeeping({ keepers }: Pick<Seats, 'keepers'>): Keeping {
  return keepers.map(({ id }) => id);
}

/** Whether each stage has one of those who may keep it. */
export function canKeep(seats: Pick<Seats, 'keepers' | 'standbys'>, keeping: Keeping): boolean {
  const fits = (id: string, stage: number) => holdersOf(seats, stage).some((seat) => seat.id === id);
  return keeping.length === seats.keepers.length && keeping.every(fits);
}

/** Whose part lies on each side of a boundary of a group's task: its own at both ends, keepers between them. */
export function sidesOf(
  keeping: Keeping,
  group: string,
  boundary: number,
): { readonly before: string; readonly after: string } {
  return { before: keeping[boundary - 1] ?? group, after: keeping[boundary] ?? group };
}
