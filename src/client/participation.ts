import type { Identity } from '../wire/identity.ts';
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
  /** This group's name in the run, and its key. */
  readonly group: string;
  readonly identity: Identity;
  /** Whether the aggregator is told how well each model predicts this group. */
  readonly tellScores: boolean;
  /** Fewest groups that it takes part with, whatever the run says. */
  readonly leastGroups: number;
  /** Keys of the groups that it accepts, by name; null: a key is believed when it is first seen, and no other after it. */
  readonly knownPeers: readonly (readonly [group: string, publicKey: string])[] | null;
  /** What the groups share where the aggregator holds ciphertext; null or left out: nothing. */
  readonly readersKey?: Uint8Array | null;
  readonly emit: EmitGroupEvent;
  readonly sleep?: Sleep;
  readonly signal?: AbortSignal;
}
