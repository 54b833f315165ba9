import type { Aggregator } from './aggregator.ts';
import type { Doorbell } from './event-stream.ts';
import type { Gate } from './gate.ts';
import type { Metrics } from './metrics.ts';
import type { PlanCache } from './plan.ts';

/** What the routes of one process share. */
export interface Services {
  readonly aggregator: Aggregator;
  readonly plans: PlanCache;
  readonly gate: Gate;
  readonly doorbell: Doorbell;
  readonly metrics: Metrics;
  readonly adminKey: string;
  readonly limits: {
    readonly chunkBytes: number;
    readonly anonymousPerMinute: number;
    readonly perKeyPerMinute: number;
  };
}
