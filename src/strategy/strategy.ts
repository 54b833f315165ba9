import { z } from 'zod';
import type { Aggregate, Model } from '../wire/stages.ts';

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

/** How updates become the next model. */
export interface Strategy {
  readonly name: string;
  readonly needs: Needs;
  /** How much a group's update counts. `questions`: how many questions the group may train on. */
  weightOf(group: { readonly questions: number }): number;
  /** What it remembers before the first round. */
  initialState(): StrategyState;
  /** Model and state after a round, from those before it and the sum of the round's updates. */
  next(model: Model, aggregate: Aggregate, state: StrategyState): NextModel;
}

/** A kind of strategy in the plug-in table. */
export interface StrategyKind {
  readonly name: string;
  readonly describe: string;
  readonly needs: Needs;
  readonly options: z.ZodType;
  create(options: unknown): Strategy;
}

/** Makes a plug-in; the options are parsed by its own schema before `create` sees them. */
export function defineStrategy<Options extends z.ZodType>(kind: {
  readonly name: string;
  readonly describe: string;
  readonly needs: Needs;
  readonly options: Options;
  readonly create: (options: z.output<Options>) => Omit<Strategy, 'name' | 'needs'>;
}): StrategyKind {
  const { name, describe, needs, options } = kind;
  return {
    name,
    describe,
    needs,
    options,
    create: (given) => ({ name, needs, ...kind.create(options.parse(given)) }),
  };
}
