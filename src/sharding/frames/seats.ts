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

/** Who has which part of a sharded model: one keeper for each stage in order, and groups, which have front and head. */
export interface Seats {
  readonly keepers: readonly Seat[];
  readonly groups: readonly Seat[];
}

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

/** Refuses seats of which somebody would have more than one, or that their owners did not take. Errors: STAGE_TAKEN, SIGNATURE_INVALID. */
export function checkSeats(run: string, { keepers, groups }: Seats): void {
  const refused = (what: string) =>
    new PluralError('STAGE_TAKEN', what, { hint: 'Let somebody else keep the stage.' });
  if (keepers.length < LEAST_KEEPERS) {
    throw refused(`${keepers.length} stage(s) have a keeper, a sharded model has at least ${LEAST_KEEPERS}`);
  }
  const all = [...keepers, ...groups];
  const keeping = new Set(keepers.map(({ id }) => id));
  for (const named of ['id', 'agreementKey'] as const) {
    const values = all.map((seat) => seat[named]);
    const twice = all.find((seat, index) => values.indexOf(seat[named]) !== index);
    if (twice === undefined) continue;
    throw refused(`${twice.id} has two seats${keeping.has(twice.id) ? ', one of which keeps a stage' : ''}`);
  }
  const forged = all.find((seat) => !isSignedBy(seat.id, signedBytes(run, seat), seat.signature));
  if (forged !== undefined) {
    throw new PluralError('SIGNATURE_INVALID', `the seat of ${forged.id} is not signed by it`, {
      hint: 'Somebody put another key in its place. Ask the people who run the aggregator before going on.',
    });
  }
}

/** Whose part lies on each side of a boundary of a group's task: its own at both ends, keepers between them. */
export function sidesOf(
  { keepers }: Pick<Seats, 'keepers'>,
  group: string,
  boundary: number,
): { readonly before: string; readonly after: string } {
  return { before: keepers[boundary - 1]?.id ?? group, after: keepers[boundary]?.id ?? group };
}
