import { asPluralError, invariant, PluralError } from '../../core/errors.ts';
import { keyPairOf } from '../../privacy/secure-sum/key-agreement.ts';
import { secretCutNoise } from '../../sharding/group/cut-noise.ts';
import { ShardedGroup } from '../../sharding/group/sharded-group.ts';
import { Front } from '../../sharding/parts/front.ts';
import { Head } from '../../sharding/parts/head.ts';
import { Introducer } from './introducer.ts';
import type { ShardedMeans } from './means.ts';
import { type LineHandlers, RelayLine } from './relay-line.ts';
import { checkKeepers, lateSeats, type SeatsNow, seatsNow } from './seats.ts';
import type { ShardedPlan } from './sharded-plan.ts';

/** A group's side of a run, and its line to the keepers. */
export interface OpenGroup {
  readonly line: RelayLine;
  readonly member: ShardedGroup;
  readonly introducer: Introducer;
  close(): Promise<void>;
}

/** What a group's side is opened with, beside what the group has. */
export interface OpeningGroup {
  /** Digest of the run. */
  readonly run: string;
  readonly plan: ShardedPlan;
  readonly handlers: LineHandlers;
  /** Ends the line. */
  readonly stop: AbortSignal;
  readonly warn: (message: string) => void;
  /** Told why the line ended. */
  readonly failed: (error: PluralError) => void;
}

/** What a group opens its links from: what it has stored; with the secret of its seat, where that was there when the run began; otherwise nothing. Errors: STAGE_TAKEN where it is said to have no seat. */
function linksFrom({ links, identity }: ShardedMeans, { seats, newcomers }: SeatsNow) {
  const isLate = newcomers.some(({ seat }) => seat.id === identity.publicKey);
  // No link would come of it, and what the seat was taken with would be forgotten.
  if (!isLate && !seats.groups.some(({ id }) => id === identity.publicKey)) throw noSeat();
  const secret = links.seatSecret();
  const keys = secret === null ? links.loadLinks() : isLate ? null : keyPairOf(secret);
  invariant(keys !== null || isLate, 'a group has the secret of its seat, or its links');
  return keys;
}

function noSeat(): PluralError {
  return new PluralError('STAGE_TAKEN', 'this group is said to have no seat in the run', {
    hint: 'Join again with the same invitation. If it had one before, the aggregator says something else than then: do not go on before it is explained.',
  });
}

/** Front and head of a group's run, of which each attempt takes a copy. Errors: ENGINE_FAILED. */
async function openEnds({ options, parts, optimizer, featureWidth }: ShardedPlan) {
  const opening = (layout: typeof parts.front) => {
    return { options, layout, parameters: new Float32Array(layout.size), optimizer };
  };
  const front = await Front.open(opening(parts.front), featureWidth);
  return { front, head: await Head.open(opening(parts.head), featureWidth) };
}

/** Opens a group's side of a run; null before it begins. Errors: those of the seats, of the API, and of the parts; AGGREGATOR_UNTRUSTED. */
export async function openGroup(means: ShardedMeans, opening: OpeningGroup): Promise<OpenGroup | null> {
  const { api, identity, links } = means;
  const { run, plan, handlers, stop, warn, failed } = opening;
  const { sharding, options } = plan;
  const now = await seatsNow(api, run);
  if (now === null) return null;
  checkKeepers(now.seats, means.keepers);
  const keys = linksFrom(means, now);
  const { front, head } = await openEnds(plan);
  const line = new RelayLine(api, handlers, stop);
  const member = new ShardedGroup({
    ...{ run, identity, keys, seats: now.seats, front, head, width: options.width },
    late: lateSeats(sharding, means.keepers),
    frames: sharding.frames,
    send: (frame) => line.send([frame]),
    keep: (memory) => links.saveLinks(memory),
    ...(sharding.cutNoise === 0 ? {} : { blur: secretCutNoise(sharding.cutNoise) }),
  });
  member.admit(now.newcomers);
  links.saveLinks(member.memory());
  const introducer = new Introducer({
    api,
    party: member,
    store: () => links.saveLinks(member.memory()),
    send: (frames) => line.send(frames),
    refused: ({ message }) => warn(message),
  });
  const listening = line.listen().catch((thrown) => failed(asPluralError(thrown)));
  const close = async () => {
    member.giveUp();
    await listening;
    await Promise.all([front.close(), head.close()]);
  };
  return { line, member, introducer, close };
}
