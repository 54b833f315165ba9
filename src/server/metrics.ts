import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Aggregator, Observation } from './aggregator.ts';

/** The figures of one process, for Prometheus. */
export interface Metrics {
  observe(observation: Observation): void;
  request(route: string, method: string, status: number, seconds: number): void;
  streamOpened(): void;
  streamClosed(): void;
  /** The text of /metrics; counts of runs and groups are read from the database. */
  text(aggregator: Pick<Aggregator, 'db'>): Promise<{ contentType: string; body: string }>;
}

/** Figures of this process, in a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'pluralllm_' });
  const registers = [registry];
  const requests = new Histogram({
    name: 'pluralllm_request_seconds',
    help: 'Time to answer a request',
    labelNames: ['route', 'method', 'status'] as const,
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const uploaded = new Counter({
    name: 'pluralllm_uploaded_bytes_total',
    help: 'Bytes of complete uploads',
    registers,
  });
  const updates = new Counter({
    name: 'pluralllm_updates_folded_total',
    help: 'Updates added to a published model',
    registers,
  });
  const folds = new Histogram({
    name: 'pluralllm_fold_seconds',
    help: 'Time from the last update of a round to its model',
    buckets: [0.05, 0.2, 1, 5, 20, 60, 300],
    registers,
  });
  const failures = new Counter({
    name: 'pluralllm_failures_total',
    help: 'Chores and folds that failed and are tried again',
    labelNames: ['what'] as const,
    registers,
  });
  const streams = new Gauge({ name: 'pluralllm_event_streams', help: 'Open event streams', registers });
  const runs = new Gauge({
    name: 'pluralllm_runs',
    help: 'Runs by phase',
    labelNames: ['phase'] as const,
    registers,
  });
  return {
    observe: (observation) => {
      if (observation.type === 'uploaded') uploaded.inc(observation.bytes);
      else if (observation.type === 'failed') failures.inc({ what: observation.what });
      else if (observation.type === 'published') {
        updates.inc(observation.updates);
        folds.observe(observation.seconds);
      }
    },
    request: (route, method, status, seconds) => requests.observe({ route, method, status }, seconds),
    streamOpened: () => streams.inc(),
    streamClosed: () => streams.dec(),
    text: async ({ db }) => {
      const phases = await db
        .selectFrom('runs')
        .select(['phase', ({ fn }) => fn.countAll<string>().as('count')])
        .groupBy('phase')
        .execute();
      runs.reset();
      for (const { phase, count } of phases) runs.set({ phase }, Number(count));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}
