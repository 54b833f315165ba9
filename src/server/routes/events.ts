import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { runIdSchema } from '../../wire/run-definition.ts';
import { eventStream, newestEvent } from '../event-stream.ts';
import { definitionOf } from '../runs.ts';
import type { Services } from '../services.ts';

/** Where a stream goes on: behind the last event that the client saw, or with what is new. */
function lastSeen(header: unknown): number | null {
  const text = typeof header === 'string' ? header : '';
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Server-sent events of a run. Closing the server closes all streams. */
export function eventRoutes({ aggregator, doorbell, metrics }: Services): FastifyPluginAsyncZod {
  return async (app) => {
    const closing = new AbortController();
    app.addHook('preClose', async () => closing.abort());

    app.get(
      '/v1/runs/:run/events',
      { schema: { params: z.object({ run: runIdSchema }) } },
      async (request, reply) => {
        const { run } = request.params;
        await definitionOf(aggregator, run);
        const after = lastSeen(request.headers['last-event-id']) ?? (await newestEvent(aggregator, run));
        const gone = new AbortController();
        const signal = AbortSignal.any([closing.signal, gone.signal]);
        metrics.streamOpened();
        reply.raw.once('close', () => {
          metrics.streamClosed();
          gone.abort();
        });
        return reply
          .type('text/event-stream')
          .header('cache-control', 'no-store')
          .header('x-accel-buffering', 'no')
          .send(Readable.from(eventStream(aggregator, doorbell, run, after, signal)));
      },
    );
  };
}
