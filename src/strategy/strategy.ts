import { z } from 'zod';
import type { Aggregate, Model } from '../wire/stages.ts';
import type { WeighedGroup } from './weighting.ts';

/** What a strategy must get from the aggregation: each update, or only the sum. */
export type Needs = 'rows' | 'sum';

/** What a strategy remembers between rounds: plain JSON and byte strings, so that checkpoints can hold it. */
export type StrategyState =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly StrategyState[]
  | { readonly [key: string]: StrategyState };

/** Reads a stored strategy state. */
export const strategyStateSchema: z.ZodType<StrategyState> = z.lazy(() =>
  z.union([
    z.null(),
    z.boolean(),
    z.number(),
    z.string(),
    z.instanceof(Uint8Array),
    z.array(strategyStateSchema),
    z.record(z.string(), strategyStateSchema),
  ]),
);

/** The outcome of a round. */
export interface NextModel {
  readonly model: Model;
  readonly state: StrategyState;
}

/** What a strategy changes in the training of a group. */
export interface LocalTraining {
  /** mu of the proximal term (mu / 2) |theta - received|^2 that is added to the loss; 0 for none. */
  readonly proximal: number;
}

/** How updates become the next model. */
export interface Strategy {
  readonly name: string;
  readonly needs: Needs;
  /** Whether weights depend on how well the model that a group trains from predicts its own answers. */
  readonly scores: boolean;
  /** Whether a parameter may move in a round whose mean update leaves it alone. */
  readonly momentum: boolean;
  readonly local: LocalTraining;
  /** How much a group's update counts: above 0, never less with more questions, never more with a higher score. */
  weightOf(group: WeighedGroup): number;
  /** What it remembers before the first round. */
  initialState(): StrategyState;
  /** Model and state after a round, from those before it and the sum of the round's updates. */
  next(model: Model, aggregate: Aggregate, state: StrategyState): NextModel;
}

/** What a kind of strategy says of itself, whatever its options. */
interface Declared {
  readonly name: string;
  readonly describe: string;
  readonly needs: Needs;
  /** Left out: false. */
  readonly scores?: boolean;
  /** Left out: false. */
  readonly momentum?: boolean;
}

/** A kind of strategy in the plug-in table. */
export interface StrategyKind extends Required<Declared> {
  readonly options: z.ZodType;
  create(options: unknown): Strategy;
}

/** Makes a plug-in; the options are parsed by its own schema before `create` sees them. */
export function defineStrategy<Options extends z.ZodType>(
  kind: Declared & {
    readonly options: Options;
    readonly create: (
      options: z.output<Options>,
    ) => Pick<Strategy, 'weightOf' | 'initialState' | 'next'> & Partial<Pick<Strategy, 'local'>>;
  },
): StrategyKind {
  const { name, describe, needs, scores = false, momentum = false, options } = kind;
  return {
    name,
    describe,
    needs,
    scores,
    momentum,
    options,
    create: (given) => ({
      name,
      needs,
      scores,
      momentum,
      local: { proximal: 0 },
      ...kind.create(options.parse(given)),
    }),
  };
}
