import { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { checkChain, type ModelRecord, recordDigest } from '../wire/model-record.ts';
import { type RunDefinition, runDigest } from '../wire/run-definition.ts';
import type { AggregatorApi } from './api.ts';

/** Whose word a group takes on which run. */
export interface Trust {
  /** Digest of the run's definition. */
  readonly run: string;
  readonly aggregatorKey: string;
  /** How many rounds it has. */
  readonly rounds: number;
}

const planSchema = z.looseObject({ training: z.looseObject({ rounds: z.int().min(1) }) });

/** Where the configuration does not say how many rounds there are, there is no bound. */
export function trustIn(definition: RunDefinition, aggregatorKey: string): Trust {
  const parsed = planSchema.safeParse(definition.plan.config);
  const rounds = parsed.success ? parsed.data.training.rounds : Number.POSITIVE_INFINITY;
  return { run: runDigest(definition), aggregatorKey, rounds };
}

function untrusted(round: number, reason: string): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', `the model of round ${round}: ${reason}`, {
    hint: 'Nothing of it was used. Ask the people who run the aggregator; do not go on before it is explained.',
  });
}

/** The chain behind `known`, up to the round of `target`: one answer's records at a time, checked link by link. */
export async function* recordsUpTo(
  api: AggregatorApi,
  trust: Trust,
  known: ModelRecord | null,
  target: ModelRecord,
): AsyncGenerator<readonly ModelRecord[]> {
  let last = known;
  while (last === null || last.round < target.round) {
    const records = await api.models(last?.round ?? -1);
    const wanted = records.filter(({ round }) => round <= target.round);
    if (wanted.length === 0) {
      throw new PluralError('AGGREGATOR_FAILED', `no records of models up to round ${target.round} came`, {
        hint: 'Try again; if it stays so, tell the people who run the aggregator.',
      });
    }
    last = checkChain(wanted, trust, last);
    yield wanted;
  }
}

/** Errors: AGGREGATOR_UNTRUSTED where a chain ends in another record than the one that a task names. */
export function checkEnd(last: ModelRecord, target: ModelRecord): void {
  if (recordDigest(last) === recordDigest(target)) return;
  throw untrusted(target.round, 'the task names another than the chain');
}

/**
 * Follows the chain of models from the one that is known (null: from the start) to the one that a task names, and
 * returns that one. Errors: AGGREGATOR_UNTRUSTED when a link does not fit, when the task names another model than the
 * chain, one of a round that the run does not have, or one before what is known: what was published cannot be taken back.
 */
export async function followChain(
  api: AggregatorApi,
  trust: Trust,
  known: ModelRecord | null,
  target: ModelRecord,
): Promise<ModelRecord> {
  if (target.round > trust.rounds) throw untrusted(target.round, `the run has ${trust.rounds} rounds`);
  if (known !== null && target.round < known.round) {
    throw untrusted(target.round, `it is offered as the newest, but round ${known.round} was published`);
  }
  let last = known ?? target;
  for await (const records of recordsUpTo(api, trust, known, target)) last = records.at(-1) ?? last;
  checkEnd(last, target);
  return last;
}
