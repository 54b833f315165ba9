import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { asPluralError, PluralError } from '../../core/errors.ts';
import {
  doneSchema,
  joinAnswerSchema,
  joinRequestSchema,
  modelRecordsSchema,
  scoreRequestSchema,
  submissionAnswerSchema,
  submissionRequestSchema,
  taskSchema,
} from '../../wire/http.ts';
import { countSchema, runDefinitionSchema, runIdSchema } from '../../wire/run-definition.ts';
import { join, leave } from '../members.ts';
import { readModelRange, recordOf, recordsAfter } from '../models.ts';
import { noteRefusal } from '../refusals.ts';
import { definitionOf, planOf } from '../runs.ts';
import { takeScore } from '../scores.ts';
import type { RouteServices } from '../services.ts';
import { keyOf, memberOfRequest, requireSignature } from '../signed-requests.ts';
import { submit } from '../submissions.ts';
import { shownTo, taskOf } from '../tasks.ts';

const runParams = z.object({ run: runIdSchema });
const done = { 200: doneSchema };
const DONE = { done: true } as const;
const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const count = wholeNumber.pipe(countSchema);

/** The one route that a key needs no membership for. */
export function joinRoutes(services: RouteServices): FastifyPluginAsyncZod {
  return async (app) => {
    requireSignature(app, services, { of: 'anybody' });
    app.post(
      '/v1/runs/:run/groups',
      { schema: { params: runParams, body: joinRequestSchema, response: { 200: joinAnswerSchema } } },
      async (request) => {
        const { aggregator, plans } = services;
        const { run } = request.params;
        const { most } = (await planOf(aggregator, plans, run)).protection.groups;
        return join(aggregator, run, keyOf(request), request.body, most);
      },
    );
  };
}

/** What a group in a run can ask and send; uploads have a file of their own. */
export function groupRoutes(services: RouteServices): FastifyPluginAsyncZod {
  const { aggregator, gate, plans, collections, limits } = services;
  return async (app) => {
    requireSignature(app, services, { of: 'groups' });

    app.delete(
      '/v1/runs/:run/groups/me',
      { schema: { params: runParams, response: done } },
      async (request) => {
        await leave(aggregator, request.params.run, memberOfRequest(request).group_id);
        return DONE;
      },
    );
    app.get(
      '/v1/runs/:run/definition',
      { schema: { params: runParams, response: { 200: runDefinitionSchema } } },
      async ({ params }) => (await definitionOf(aggregator, params.run)).definition,
    );
    app.get(
      '/v1/runs/:run/task',
      { schema: { params: runParams, response: { 200: taskSchema } } },
      (request) => taskOf(aggregator, memberOfRequest(request)),
    );
    app.get(
      '/v1/runs/:run/shown',
      {
        schema: {
          params: runParams,
          querystring: z.strictObject({ round: count, attempt: count, step: count }),
        },
      },
      async (request, reply) => {
        const member = memberOfRequest(request);
        const plan = await planOf(aggregator, plans, request.params.run);
        const shown = await shownTo({ aggregator, collections, plan }, member, request.query);
        return reply.type('application/octet-stream').send(Buffer.from(shown));
      },
    );
    app.get(
      '/v1/runs/:run/models',
      {
        schema: {
          params: runParams,
          querystring: z.strictObject({
            after: z
              .string()
              .regex(/^(-1|\d{1,9})$/)
              .transform(Number),
          }),
          response: { 200: modelRecordsSchema },
        },
      },
      async ({ params, query }) => ({ records: await recordsAfter(aggregator, params.run, query.after) }),
    );
    app.get(
      '/v1/runs/:run/models/:round/parameters',
      {
        schema: {
          params: runParams.extend({ round: wholeNumber.pipe(countSchema) }),
          querystring: z.strictObject({ offset: wholeNumber, length: wholeNumber }),
        },
      },
      async ({ params, query }, reply) => {
        const record = await recordOf(aggregator, params.run, params.round);
        const length = Math.min(query.length, limits.chunkBytes);
        const bytes =
          record === null ? null : await readModelRange(aggregator, record.model, query.offset, length);
        if (bytes === null) {
          throw new PluralError('UPDATE_OF_ANOTHER_ROUND', `round ${params.round} has no model here`, {
            hint: 'GET .../models lists the rounds that have one.',
          });
        }
        return reply.type('application/octet-stream').send(bytes);
      },
    );
    app.post(
      '/v1/runs/:run/submissions',
      {
        schema: {
          params: runParams,
          body: submissionRequestSchema,
          response: { 200: submissionAnswerSchema },
        },
      },
      async (request) => {
        const member = memberOfRequest(request);
        const plan = await planOf(aggregator, plans, request.params.run);
        try {
          return await submit({ aggregator, gate, collections, plan }, member, request.body);
        } catch (thrown) {
          await noteRefusal(aggregator, member, asPluralError(thrown));
          throw thrown;
        }
      },
    );
    app.post(
      '/v1/runs/:run/scores',
      { schema: { params: runParams, body: scoreRequestSchema, response: done } },
      async (request) => {
        await takeScore(aggregator, memberOfRequest(request), request.body);
        return DONE;
      },
    );
  };
}
