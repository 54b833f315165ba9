import type { Aggregator } from './aggregator.ts';
import type { Collections } from './collections.ts';
import type { Doorbell } from './event-stream.ts';
import type { Gate } from './gate.ts';
import type { Metrics } from './metrics.ts';
import type { PlanCache } from './plan.ts';
import type { RateLimits, Rates } from './rate-limits.ts';
import type { Relays } from './relay/relays.ts';

/** What the routes of one process share. */
export interface Services {
  readonly aggregator: Aggregator;
  readonly plans: PlanCache;
  readonly collections: Collections;
  readonly gate: Gate;
  readonly doorbell: Doorbell;
  readonly metrics: Metrics;
  readonly relays: Relays;
  readonly adminKey: string;
  readonly limits: Rates & { readonly chunkBytes: number };
}

/** What one HTTP interface adds. */
export interface RouteServices extends Services {
  readonly rates: RateLimits;
}
