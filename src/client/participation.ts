import type { RunDefinition } from '../wire/run-definition.ts';
import type { AggregatorApi } from './api.ts';
import type { EmitGroupEvent } from './group-events.ts';
import type { GroupStore } from './group-record.ts';
import type { LocalWork } from './local-training.ts';
import type { Retry, Sleep } from './retry.ts';

/** What a group takes part with. */
export interface ParticipantOptions {
  readonly api: AggregatorApi;
  /** For single transfers of a chunk; the same as the API's. */
  readonly retry: Retry;
  readonly store: GroupStore;
  readonly work: LocalWork;
  readonly definition: RunDefinition;
  readonly aggregatorKey: string;
  /** Whether the aggregator is told how well each model predicts this group. */
  readonly tellScores: boolean;
  readonly emit: EmitGroupEvent;
  readonly sleep?: Sleep;
  readonly signal?: AbortSignal;
}

/** A step of a round. */
export interface Place {
  readonly round: number;
  readonly step: number;
}
