import type { z } from 'zod';
import type { CountedRows } from '../wire/counted-rows.ts';
import type { Holds } from '../wire/holds.ts';
import type { Identity, isSignedBy } from '../wire/identity.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../wire/stages.ts';
import type { CollectionStep } from '../wire/step.ts';

/** What a protection lets the aggregator see: every update in clear, or nothing but their sum. */
export type Reveals = 'rows' | 'sum';

/** What everybody in a round knows of it before it begins. */
export interface RoundContext {
  /** Digest of the run. */
  readonly run: string;
  readonly round: number;
  /** 1, and one more each time that the round was given up and opened again. */
  readonly attempt: number;
  /** Digest of the model that the groups train from; of the sealed sum that made it, where the aggregator holds ciphertext. */
  readonly model: string;
  /** Length of a delta. */
  readonly parameters: number;
}

/** Whom a group accepts as others in a round. */
export interface Peers {
  /** Fewest groups with updates that it takes part with, itself included. */
  readonly least: number;
  /** Whether a key is that of a group. */
  trusts(group: string, publicKey: string): boolean;
}

/** What a group takes part in a round with. */
export interface GroupSetup {
  readonly context: RoundContext;
  readonly group: string;
  readonly identity: Identity;
  /** 32 bytes that nobody else knows, drawn for this attempt of this round alone. */
  readonly secret: Uint8Array;
  /** What the aggregator showed this group before a step; asked twice, the same. */
  readonly heard: (step: number) => Uint8Array;
  readonly peers: Peers;
  readonly verify: typeof isSignedBy;
  /** 32 bytes that all groups of the run share and the aggregator does not know; only where the protection has sealed sums. */
  readonly readersKey?: Uint8Array;
}

/** A group's side of one attempt of a round: its answers are a function of the setup and the update alone. */
export interface GroupPart {
  /**
   * The payload of its reply to a step; `update` in the step that carries it. Errors: AGGREGATOR_UNTRUSTED for what an
   * honest aggregator would not show, ROUND_REFUSED where a step would protect less than was agreed, UPDATE_NOT_FINITE.
   */
  answer(step: number, update: Update | null): Uint8Array;
}

/**
 * The aggregator's side of one attempt of a round: takes the groups' replies and adds up the updates. However many groups there are, one sum is
 * kept, and of each group what later steps show to others: some kilobytes, under `seal` 56 kB for each member of the committee.
 * The result is independent of the order of the replies to a step.
 */
export interface Collection {
  /**
   * Looks at one reply by itself, before it is accepted, and says how much of a round's capacity it takes, in (0, 1). `add`
   * refuses none of the replies that passed and together take less than 1. All steps before it must be closed.
   * Errors: UPDATE_MALFORMED, UPDATE_LENGTH, UPDATE_NOT_FINITE, UPDATE_OUT_OF_RANGE, SIGNATURE_INVALID, and ROUND_REFUSED
   * for another protection.
   */
  screen(step: number, reply: ProtectedUpdate, publicKey: string): number;
  /**
   * Takes a reply. ROUND_REFUSED for another round or protection or a group that replied already, and the errors of
   * `screen`; the sum is then as it was.
   */
  add(step: number, reply: ProtectedUpdate): void;
  /** What later steps must know of a reply that passed `screen`, where it carries an update and is not read again before the sum. */
  noteOf(step: number, reply: ProtectedUpdate): Uint8Array;
  /** Takes the note of a reply in place of the reply: enough for `show`, not for the sum. */
  recall(step: number, group: string, note: Uint8Array): void;
  /** The groups that replied to a step, in code-unit order: what follows is about them. */
  close(step: number, groups: readonly string[]): void;
  /** What a step shows a group that it asks; empty where it shows nothing. The step before must be closed. */
  show(step: number, group: string): Uint8Array;
  /** After the last step: why the sum cannot be opened yet, although more replies may make it possible; null where it can be tried. */
  lacks(): string | null;
  /** The sum of the updates of all closed steps. Errors: ROUND_FAILED when nothing can be added up. */
  finish(): Aggregate;
  /** After `finish`, in code-unit order: the groups whose replies do not fit, by their own fault or by that of who gave them what they answer with. */
  accused(): readonly string[];
}

/** A collection whose sum the aggregator cannot open: it publishes it for those who have the readers' key. `finish` is not for it. */
export interface SealingCollection extends Collection {
  /** In place of `finish`: the sum and what opens it, sealed; a frame of `wire/framed.ts`. Errors: ROUND_FAILED. */
  publish(): Uint8Array;
}

/** What a reader finds in a sealed sum. */
export interface ReadSum {
  /** Null where nothing opens it, or it is impossible: the model stays as it was. All readers come to the same. */
  readonly aggregate: Aggregate | null;
  /** Whether it opens to what no groups can have sent: who passes a sum on can add to it without being able to open it. */
  readonly impossible: boolean;
  /**
   * In code-unit order: the groups whose answers do not fit, by their own fault, by that of who dealt them shares, or of the aggregator: nobody
   * signs what it passes on. Nobody where no answer opens.
   */
  readonly accused: readonly string[];
}

/** How a run goes on whose aggregator has no model: it publishes sealed sums, and whoever has the readers' key opens them. */
export interface SealedSums {
  /** The longest, in bytes. */
  readonly mostBytes: number;
  /** The same as the protection's own. */
  collect(context: RoundContext): SealingCollection;
  /**
   * Opens a sealed sum: a function of its bytes, the readers' key and what everybody knows of the round. Errors: AGGREGATOR_UNTRUSTED for
   * what no honest aggregator publishes.
   */
  read(sealed: Uint8Array, context: Omit<RoundContext, 'attempt'>, readersKey: Uint8Array): ReadSum;
}

/** What all updates of groups that do as they should have in common, beside the clip of their protection. */
export interface HonestUpdates {
  /** The smallest weight that the strategy gives a group. */
  readonly leastWeight: number;
  /** Where they count rows, each by the clip; null: nowhere. */
  readonly counted: CountedRows | null;
}

/**
 * What a run spends of a group's privacy, where noise is added: it bounds what anybody learns of a group's updates, all of them
 * against none of them. That the group took part is known.
 */
export interface Guarantee {
  /** Epsilon after 1, 2, ... rounds, at `delta`; the last is that of the whole run. */
  readonly epsilons: readonly number[];
  readonly delta: number;
  readonly rounds: number;
  /** Deviation of each group's noise, in steps of the grid. */
  readonly localSigma: number;
  /** Largest L2 norm of a rounded update, in steps of the grid: one that comes out longer is rounded again. */
  readonly mostNorm: number;
  /** Shares of noise in each sum that an observer does not know, at the least. */
  readonly honestSurvivors: number;
  /** RDP of one round, at DEFAULT_ORDERS of the accountant. */
  readonly rdpPerRound: readonly number[];
}

/** Members of a committee, so many of whom open what is sent to it. */
export interface Custody {
  readonly members: readonly string[];
  readonly threshold: number;
}

/** What of a run a protection is made for. */
export interface RunShape {
  readonly rounds: number;
  /** Length of a delta. */
  readonly parameters: number;
  /** Whether all groups have the same weight, whatever they answered. */
  readonly equalWeights: boolean;
  /** The largest weight that the strategy gives any group. */
  readonly mostWeight: number;
  /** How far a parameter moves in a round of local training, about: steps times learning rate. */
  readonly reach: number;
  /** Seed of everything that may be known. */
  readonly seed: number;
  /** Left out: clear. */
  readonly holds?: Holds;
}

/** A protection with its options settled. */
export interface Protection {
  readonly name: string;
  readonly reveals: Reveals;
  /** What the aggregator collects in a round, in order; at least one step. */
  readonly steps: readonly CollectionStep[];
  /** Index of the step that carries the update. */
  readonly updateStep: number;
  /** Fewest and most groups of a round. */
  readonly groups: { readonly least: number; readonly most: number };
  /** Who takes part without an update of its own: its updates are zero and have no weight. */
  readonly trustees: readonly string[];
  /** Whom the configuration names who could read every update together with the aggregator, and how many of them; null where it names nobody. */
  readonly custody: Custody | null;
  /** The smallest weight that is not lost in the rounding; 0 where none is. */
  readonly leastWeight: number;
  /** About the longest payload of a reply, in bytes; no reply is more than 64 KiB longer. */
  readonly replyBytes: number;
  /** Null where no noise is added. */
  readonly guarantee: Guarantee | null;
  /** Loads what the two below need; to be awaited once before either is called. */
  prepare(): Promise<void>;
  /** Whether groups that do as they should can have sent what adds up to this; true where nothing bounds what they send. */
  isPossible(sum: Aggregate, honest: HonestUpdates): boolean;
  /** Null where the aggregator opens the sums itself, also because the protection knows no other way. */
  readonly sealedSums: SealedSums | null;
  join(setup: GroupSetup): GroupPart;
  collect(context: RoundContext): Collection;
}

type Declared = 'name' | 'reveals' | 'steps' | 'updateStep';
/** What most protections do not need. */
type Usual = 'prepare' | 'trustees' | 'custody' | 'leastWeight' | 'isPossible' | 'sealedSums';

/** A kind of protection in the plug-in table. */
export interface ProtectionKind extends Pick<Protection, Declared> {
  readonly describe: string;
  readonly options: z.ZodType;
  create(options: unknown, shape: RunShape): Protection;
}

/** Makes a plug-in; the options are parsed by its own schema before `create` sees them. */
export function defineProtection<Options extends z.ZodType>(
  kind: Pick<Protection, Declared> & {
    readonly describe: string;
    readonly options: Options;
    readonly create: (
      options: z.output<Options>,
      shape: RunShape,
    ) => Omit<Protection, Declared | Usual> & Partial<Pick<Protection, Usual>>;
  },
): ProtectionKind {
  const { name, reveals, steps, updateStep } = kind;
  return {
    ...kind,
    create: (given, shape) => ({
      name,
      reveals,
      steps,
      updateStep,
      prepare: () => Promise.resolve(),
      trustees: [],
      custody: null,
      leastWeight: 0,
      isPossible: () => true,
      sealedSums: null,
      ...kind.create(kind.options.parse(given), shape),
    }),
  };
}
