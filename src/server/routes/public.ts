import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { ownVersion } from '../../core/version.ts';
import { aggregatorSchema, runListSchema, runStatusSchema } from '../../wire/http.ts';
import { runIdSchema } from '../../wire/run-definition.ts';
import { MOST_SUBMISSION_BYTES } from '../../wire/submission.ts';
import type { Services } from '../services.ts';
import { listRuns, statusOf } from '../status.ts';

/** What anybody may read: who the aggregator is, what runs there are, and how they stand. */
export function publicRoutes({ aggregator, metrics, limits }: Services): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/healthz',
      { schema: { response: { 200: z.object({ status: z.literal('ok') }) } } },
      async () => {
        await aggregator.db.selectFrom('runs').select('id').limit(1).execute();
        return { status: 'ok' as const };
      },
    );

    app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
      const { contentType, body } = await metrics.text(aggregator);
      return reply.type(contentType).send(body);
    });

    app.get('/v1/aggregator', { schema: { response: { 200: aggregatorSchema } } }, async () => ({
      name: 'pluralllm' as const,
      version: ownVersion(),
      publicKey: aggregator.identity.publicKey,
      timeMs: aggregator.clock.now(),
      limits: { chunkBytes: limits.chunkBytes, uploadBytes: MOST_SUBMISSION_BYTES },
    }));

    app.get('/v1/runs', { schema: { response: { 200: runListSchema } } }, async () => ({
      runs: await listRuns(aggregator),
    }));

    app.get(
      '/v1/runs/:run',
      { schema: { params: z.object({ run: runIdSchema }), response: { 200: runStatusSchema } } },
      ({ params }) => statusOf(aggregator, params.run),
    );
  };
}
