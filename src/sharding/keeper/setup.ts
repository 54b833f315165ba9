import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import type { Identity } from '../../wire/identity.ts';
import type { FrameType } from '../../wire/shard-frame.ts';
import { Link } from '../frames/link.ts';
import { Links, type LinksMemory } from '../frames/links.ts';
import { type Keeping, linkedWith, type Seats } from '../frames/seats.ts';
import type { TaskRows } from '../parts/part-session.ts';
import type { PartMemory } from '../parts/part-state.ts';
import type { Stage } from '../parts/stage.ts';
import type { RoundPlace } from './round-ledger.ts';

/** What the links of a keeper that begins come of; neither is kept. */
export interface FreshKeeper {
  /** X25519 keys of this run, of which the public one stands in the keeper's seat. */
  readonly keys: KeyPair;
  /** 32 bytes that nobody else has: what the inside of the stage is turned by follows from it. */
  readonly secret: Uint8Array;
  readonly memory?: undefined;
}

/** What a keeper that was there before goes on from. */
export interface RememberedKeeper {
  readonly memory: KeeperMemory;
}

/** What a keeper is opened with. */
export type KeeperSetup = KeeperParts & (FreshKeeper | RememberedKeeper);

/** What a keeper has for the whole run. */
export interface KeeperParts {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  readonly seats: Seats;
  readonly stage: Stage;
  /** Width of the vectors between parts. */
  readonly width: number;
  /** Type of the frames that it sends. */
  readonly frames: FrameType;
  /** Most points of a task. */
  readonly most: TaskRows;
  /** Fewest groups of a round. */
  readonly leastGroups: number;
  /** Most passes of predictions for one group between two rounds; left out: no bound. */
  readonly queries?: number;
}

/** All that a keeper goes on from: its stage, the secrets of its links, and the last round that it took part in. */
export interface KeeperMemory {
  readonly stage: PartMemory;
  readonly links: LinksMemory;
  readonly place: RoundPlace;
  /** Who keeps the stages, as far as it knows. */
  readonly keeping: Keeping;
  /** Whether it has the stage. */
  readonly holds: boolean;
}

/** Links with all other keepers, at both ends of the model with groups, and one with nobody for what a keeper draws for itself. Errors: FRAME_REFUSED; STAGE_TAKEN for other seats than before. */
export function openLinks({ run, identity, seats, frames, width, ...origin }: KeeperSetup): Links {
  const bound = { run, seats, frames, width };
  if (origin.memory !== undefined) return Links.of(origin.memory.links, bound);
  const { keys, secret } = origin;
  const own = { id: identity.publicKey, keys };
  return new Links(
    new Map([
      [own.id, Link.alone(secret)] as const,
      ...linkedWith(seats, own.id).map((other) => [other.id, Link.between(bound, own, other)] as const),
    ]),
    bound,
  );
}
