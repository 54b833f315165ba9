import type { Kysely } from 'kysely';
import type { Clock } from '../core/clock.ts';
import type { PluralError } from '../core/errors.ts';
import type { Identity } from '../wire/identity.ts';
import type { BlobStore } from './blobs/blob-store.ts';
import type { FoldJobs } from './jobs/fold-jobs.ts';
import type { Tables } from './store/tables.ts';

/** What happens inside, for logs and figures. */
export type Observation =
  | { readonly type: 'changed'; readonly run: string }
  | { readonly type: 'folding'; readonly run: string; readonly round: number; readonly updates: number }
  | { readonly type: 'publishing'; readonly run: string; readonly round: number }
  | {
      readonly type: 'published';
      readonly run: string;
      readonly round: number;
      readonly updates: number;
      readonly seconds: number;
    }
  | { readonly type: 'uploaded'; readonly run: string; readonly group: string; readonly bytes: number }
  | { readonly type: 'failed'; readonly what: string; readonly error: PluralError };

/** What every part of the aggregator works with. It has no state of its own: replicas with the same stores are alike. */
export interface Aggregator {
  readonly db: Kysely<Tables>;
  readonly blobs: BlobStore;
  readonly jobs: FoldJobs;
  readonly clock: Clock;
  readonly identity: Identity;
  /** Told after the fact; must not throw. */
  readonly observe: (observation: Observation) => void;
}
