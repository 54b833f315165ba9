import { PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';

/** One choice of context questions. */
export interface ContextChoice {
  readonly seed: number;
  readonly groupId: string;
  /** Which of the repeated choices, from 0. */
  readonly draw: number;
  /** Indices of the questions that the group has answered and may tell. */
  readonly answered: readonly number[];
  /** How many of them to tell. */
  readonly count: number;
}

/**
 * The context questions of one group in one draw: `count` of those answered, ascending. A function of
 * (seed, group, draw, answered) alone, so every method is given the same contexts.
 * Errors: DATA_CONTEXT_TOO_LARGE where no answered question would be left to predict.
 */
export function chooseContext({ seed, groupId, draw, answered, count }: ContextChoice): number[] {
  if (count > answered.length - 1) {
    const largest = Math.max(0, answered.length - 1);
    throw new PluralError(
      'DATA_CONTEXT_TOO_LARGE',
      `${count} context questions are asked of group "${groupId}", which answered ${answered.length}`,
      {
        hint: `One must be left to predict: use at most ${largest} context questions, or leave the group out.`,
      },
    );
  }
  const shuffled = randomStream(seed, 'context', groupId, draw).shuffled(answered);
  return shuffled.slice(0, count).sort((a, b) => a - b);
}
