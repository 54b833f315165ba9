import { invariant } from '../../core/errors.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import type { Identity } from '../../wire/identity.ts';
import type { FrameType } from '../../wire/shard-frame.ts';
import type { KeptShare } from '../deposits/kept-shares.ts';
import {
  Introductions,
  type IntroductionsMemory,
  type LateSeats,
  NOBODY_LATE,
} from '../frames/introductions.ts';
import { Link } from '../frames/link.ts';
import { boundOf, Links, type LinksMemory } from '../frames/links.ts';
import {
  checkSeats,
  holdersOf,
  type Keeping,
  linkedWith,
  type Newcomer,
  type Seats,
  stageOf,
} from '../frames/seats.ts';
import type { TaskRows } from '../parts/part-session.ts';
import type { PartMemory } from '../parts/part-state.ts';
import type { Stage } from '../parts/stage.ts';
import type { QueryBudget } from './query-budget.ts';
import type { RoundPlace } from './round-ledger.ts';

/** What the links of a keeper that begins come of; neither is kept. */
export interface FreshKeeper {
  /** X25519 keys of this run, of which the public one stands in the keeper's seat. */
  readonly keys: KeyPair;
  /** 32 bytes that nobody else has: what the inside of the stage is turned by follows from it. */
  readonly secret: Uint8Array;
  readonly memory?: undefined;
}

/** What a keeper begins with that came after the run began: its links are agreed on by greetings. */
export interface LateKeeper {
  readonly keys: null;
  /** As of a fresh one. */
  readonly secret: Uint8Array;
  /** All who came after the run began, itself among them. */
  readonly newcomers: readonly Newcomer[];
  readonly memory?: undefined;
}

/** What a keeper that was there before goes on from. */
export interface RememberedKeeper {
  readonly memory: KeeperMemory;
}

/** What a keeper is opened with. */
export type KeeperSetup = KeeperParts & (FreshKeeper | LateKeeper | RememberedKeeper);

/** What a keeper has for the whole run. */
export interface KeeperParts {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  /** Those of the beginning. */
  readonly seats: Seats;
  /** Who may come later; left out: nobody. */
  readonly late?: LateSeats;
  readonly stage: Stage;
  /** Width of the vectors between parts. */
  readonly width: number;
  /** Type of the frames that it sends. */
  readonly frames: FrameType;
  /** Most points of a task. */
  readonly most: TaskRows;
  /** Fewest groups of a round. */
  readonly leastGroups: number;
  /** Bounds the passes of predictions for one group between two rounds; left out: no bound. */
  readonly queries?: QueryBudget;
  /** Of how many other stages a holder is needed to open a deposit of this one; left out: it makes none. */
  readonly recovery?: number;
  /** Shares of other stages' deposits that it had before. */
  readonly shares?: readonly KeptShare[];
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
  readonly introductions: IntroductionsMemory;
}

/**
 * What a keeper has of everybody else, and the number of its stage.
 * Errors: STAGE_TAKEN and SIGNATURE_INVALID of the seats; FRAME_REFUSED where another's key is none.
 */
export function openSeat(setup: KeeperSetup) {
  const { run, identity, seats, late = NOBODY_LATE, memory } = setup;
  checkSeats(run, seats);
  const links = openLinks(setup);
  const met = { run, identity, seats, bound: boundOf(setup), links, late };
  const introductions = new Introductions(met, memory?.introductions);
  if (memory === undefined && setup.keys === null) introductions.admit(setup.newcomers);
  const all = introductions.seats;
  const index = stageOf(all, identity.publicKey) ?? -1;
  const own = holdersOf(all, index).find(({ id }) => id === identity.publicKey);
  const keys = memory === undefined ? setup.keys : null;
  const fits = keys === null || own?.agreementKey === keys.publicKey;
  invariant(own !== undefined && fits, 'a keeper has its own seat');
  return { links, introductions, index };
}

/** Links with all other keepers, at both ends of the model with groups, and one with nobody for what a keeper draws for itself. Errors: FRAME_REFUSED; STAGE_TAKEN for other seats than before. */
function openLinks(setup: KeeperSetup): Links {
  const bound = boundOf(setup);
  if (setup.memory !== undefined) return Links.of(setup.memory.links, bound);
  const { keys, secret, seats } = setup;
  const id = setup.identity.publicKey;
  const alone = [id, Link.alone(secret)] as const;
  const others = keys === null ? [] : linkedWith(seats, id);
  const agreed = others.map((other) => [other.id, Link.between(bound, { id, keys: keys! }, other)] as const);
  return new Links(new Map([alone, ...agreed]), bound);
}
