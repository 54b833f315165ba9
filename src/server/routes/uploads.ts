import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { uploadAnswerSchema, uploadRequestSchema } from '../../wire/http.ts';
import { digestSchema, runIdSchema } from '../../wire/run-definition.ts';
import { mostUploadBytes } from '../plan.ts';
import { planOf } from '../runs.ts';
import type { RouteServices } from '../services.ts';
import { memberOfRequest, requireSignature } from '../signed-requests.ts';
import { beginUpload, takeChunk } from '../uploads.ts';

const answer = { 200: uploadAnswerSchema };

/** Uploads in chunks, found again by the SHA-256 of their whole. */
export function uploadRoutes(services: RouteServices): FastifyPluginAsyncZod {
  const { aggregator, gate, limits, plans } = services;
  return async (app) => {
    requireSignature(app, services, { of: 'groups' });

    app.post(
      '/v1/runs/:run/uploads',
      { schema: { params: z.object({ run: runIdSchema }), body: uploadRequestSchema, response: answer } },
      async (request) => {
        const most = mostUploadBytes(await planOf(aggregator, plans, request.params.run));
        return beginUpload(aggregator, gate, memberOfRequest(request), request.body, most);
      },
    );
    app.put(
      '/v1/runs/:run/uploads/:digest',
      {
        bodyLimit: limits.chunkBytes,
        schema: {
          params: z.object({ run: runIdSchema, digest: digestSchema }),
          querystring: z.strictObject({
            offset: z
              .string()
              .regex(/^\d{1,15}$/)
              .transform(Number),
          }),
          response: answer,
        },
      },
      async (request) => {
        const { body, params, query } = request;
        if (!Buffer.isBuffer(body) || body.byteLength === 0) {
          throw new PluralError('REQUEST_MALFORMED', 'a chunk is the body, as application/octet-stream', {
            hint: 'See docs/protocol.md.',
          });
        }
        const chunk = { digest: params.digest, offset: query.offset, bytes: body };
        return takeChunk(aggregator, gate, memberOfRequest(request), chunk);
      },
    );
  };
}
