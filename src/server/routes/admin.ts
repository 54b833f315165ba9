import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import {
  allowRequestSchema,
  createRunAnswerSchema,
  createRunRequestSchema,
  doneSchema,
  inviteAnswerSchema,
  inviteRequestSchema,
} from '../../wire/http.ts';
import { publicKeySchema } from '../../wire/identity.ts';
import { groupIdSchema, runIdSchema } from '../../wire/run-definition.ts';
import { allow, invite } from '../invitations.ts';
import { revokeKeeper } from '../keepers.ts';
import { isAdmin } from '../keys.ts';
import { revoke } from '../members.ts';
import { createRun, startRun, stopRun } from '../runs.ts';
import type { Services } from '../services.ts';

/** A plan carries all questions of its survey. */
const PLAN_BYTES = 32 * 2 ** 20;
const DONE = { done: true } as const;

/** What needs the admin key. */
export function adminRoutes({ aggregator, adminKey }: Services): FastifyPluginAsyncZod {
  return async (app) => {
    app.addHook('onRequest', async ({ headers }) => {
      if (isAdmin(headers.authorization, adminKey)) return;
      throw new PluralError('ADMIN_KEY_REQUIRED', 'the admin key is missing or wrong', {
        hint: 'Send it as "Authorization: Bearer <key>"; "aggregator init" wrote it to admin.key.',
      });
    });
    const runParams = z.object({ run: runIdSchema });
    const done = { 200: doneSchema };

    app.post(
      '/v1/admin/runs',
      {
        bodyLimit: PLAN_BYTES,
        schema: { body: createRunRequestSchema, response: { 200: createRunAnswerSchema } },
      },
      ({ body }) => createRun(aggregator, body),
    );
    app.post(
      '/v1/admin/runs/:run/start',
      { schema: { params: runParams, response: done } },
      async ({ params }) => {
        await startRun(aggregator, params.run);
        return DONE;
      },
    );
    app.post(
      '/v1/admin/runs/:run/stop',
      { schema: { params: runParams, response: done } },
      async ({ params }) => {
        await stopRun(aggregator, params.run);
        return DONE;
      },
    );
    app.post(
      '/v1/admin/runs/:run/invitations',
      { schema: { params: runParams, body: inviteRequestSchema, response: { 200: inviteAnswerSchema } } },
      ({ params, body }) => invite(aggregator, params.run, body),
    );
    app.post(
      '/v1/admin/runs/:run/keys',
      { schema: { params: runParams, body: allowRequestSchema, response: done } },
      async ({ params, body }) => {
        await allow(aggregator, params.run, body.group, body.publicKey);
        return DONE;
      },
    );
    app.delete(
      '/v1/admin/runs/:run/keepers/:key',
      { schema: { params: z.object({ run: runIdSchema, key: publicKeySchema }), response: done } },
      async ({ params }) => {
        await revokeKeeper(aggregator, params.run, params.key);
        return DONE;
      },
    );
    app.delete(
      '/v1/admin/runs/:run/groups/:group',
      {
        schema: {
          params: z.object({ run: runIdSchema, group: groupIdSchema }),
          response: done,
        },
      },
      async ({ params }) => {
        await revoke(aggregator, params.run, params.group);
        return DONE;
      },
    );
  };
}
