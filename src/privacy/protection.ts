import type { z } from 'zod';
import type { Aggregate, ProtectedUpdate, Update } from '../wire/stages.ts';
import type { CollectionStep } from '../wire/step.ts';

/** What a protection lets the aggregator see: every update in clear, or nothing but their sum. */
export type Reveals = 'rows' | 'sum';

/** Adds up one round's protected updates; memory independent of their number, result independent of their order. */
export interface Fold {
  /**
   * ROUND_REFUSED for another round or protection or a group that is in the sum already; UPDATE_LENGTH for a payload of
   * the wrong size; UPDATE_NOT_FINITE; UPDATE_OUT_OF_RANGE. The sum is then as it was.
   */
  add(update: ProtectedUpdate): void;
  /** ROUND_FAILED when nothing was added. */
  finish(): Aggregate;
}

/** A protection with its options settled. */
export interface Protection {
  readonly name: string;
  readonly reveals: Reveals;
  /** What the aggregator collects in a round, in order; at least one step. */
  readonly steps: readonly CollectionStep[];
  /** Makes an update fit to leave its group. */
  protect(update: Update): ProtectedUpdate;
  /**
   * Looks at one update by itself, before it is accepted, and says how much of a round's capacity it takes, in (0, 1).
   * `fold` refuses none of the updates of a round that passed and together take less than 1.
   * Errors: UPDATE_LENGTH, UPDATE_NOT_FINITE, UPDATE_OUT_OF_RANGE, and ROUND_REFUSED for another protection.
   */
  screen(update: ProtectedUpdate, parameters: number): number;
  /** Starts the sum of a round over `parameters` parameters. */
  fold(round: number, parameters: number): Fold;
}

/** A kind of protection in the plug-in table. */
export interface ProtectionKind {
  readonly name: string;
  readonly describe: string;
  readonly reveals: Reveals;
  readonly steps: readonly CollectionStep[];
  readonly options: z.ZodType;
  create(options: unknown): Protection;
}

/** Makes a plug-in; the options are parsed by its own schema before `create` sees them. */
export function defineProtection<Options extends z.ZodType>(kind: {
  readonly name: string;
  readonly describe: string;
  readonly reveals: Reveals;
  readonly steps: readonly CollectionStep[];
  readonly options: Options;
  readonly create: (options: z.output<Options>) => Omit<Protection, 'name' | 'reveals' | 'steps'>;
}): ProtectionKind {
  const { name, describe, reveals, steps, options } = kind;
  return {
    name,
    describe,
    reveals,
    steps,
    options,
    create: (given) => ({ name, reveals, steps, ...kind.create(options.parse(given)) }),
  };
}
