import { finished, Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { countSchema, runIdSchema } from '../../wire/run-definition.ts';
import { eventStream, newestEvent } from '../event-stream.ts';
import { checkRun } from '../runs.ts';
import type { Services } from '../services.ts';
import { StreamPlaces } from '../stream-places.ts';

const eventNumber = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
  .pipe(countSchema);

/** Where a stream goes on: behind the last event that the client saw, or with what is new. */
function lastSeen(header: unknown): number | null {
  const parsed = eventNumber.safeParse(header);
  return parsed.success ? parsed.data : null;
}

/** Server-sent events of a run. Closing the server closes all streams. */
export function eventRoutes({ aggregator, doorbell, metrics }: Services): FastifyPluginAsyncZod {
  return async (app) => {
    const open = new Set<AbortController>();
    const places = new StreamPlaces();
    app.addHook('preClose', async () => {
      for (const stream of open) stream.abort();
    });

    app.get(
      '/v1/runs/:run/events',
      { schema: { params: z.object({ run: runIdSchema }) } },
      async (request, reply) => {
        const { run } = request.params;
        await checkRun(aggregator, run);
        const after = lastSeen(request.headers['last-event-id']) ?? (await newestEvent(aggregator, run));
        const leave = places.take(request.ip);
        const stream = new AbortController();
        open.add(stream);
        metrics.streamOpened();
        // Also where the client has gone already, while the run was looked up.
        finished(reply.raw, () => {
          leave();
          metrics.streamClosed();
          open.delete(stream);
          stream.abort();
        });
        return reply
          .type('text/event-stream')
          .header('cache-control', 'no-store')
          .header('x-accel-buffering', 'no')
          .send(Readable.from(eventStream(aggregator, doorbell, run, after, stream.signal)));
      },
    );
  };
}
