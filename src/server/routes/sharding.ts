import { finished } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { encodeCbor, readCbor } from '../../wire/cbor.ts';
import { countSchema, runIdSchema } from '../../wire/run-definition.ts';
import {
  keeperAnswerSchema,
  keeperRequestSchema,
  relayedAnswerSchema,
  relayedSchema,
  seatAnswerSchema,
  seatRequestSchema,
  seatsAnswerSchema,
} from '../../wire/sharding.ts';
import { giveSeat, joinKeeper } from '../keepers.ts';
import { RecentNonces } from '../recent-nonces.ts';
import type { RunRelay } from '../relay/run-relay.ts';
import type { RouteServices } from '../services.ts';
import { keyOf, requireSignature } from '../signed-requests.ts';

const runParams = z.object({ run: runIdSchema });
const count = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
  .pipe(countSchema);

/** A stage with its moments in float64, and some frames beside it. */
const FRAMES_BYTES = 128 * 2 ** 20;
/** Items of a status and of each frame. */
const MOST_ITEMS = 8192;
/** How long a request waits for something new: proxies in between hang up after a minute. */
const WAIT_MS = 15_000;

/** Requests of one key at a relay that are not answered yet: one that fetches, one that sends, and each again by who hung up. A body may hold a stage. */
const MOST_AT_ONCE = 4;

/** The route by which a new keeper joins. */
export function keeperRoutes(services: RouteServices): FastifyPluginAsyncZod {
  return async (app) => {
    requireSignature(app, services, { of: 'anybody' });
    app.post(
      '/v1/runs/:run/keepers',
      { schema: { params: runParams, body: keeperRequestSchema, response: { 200: keeperAnswerSchema } } },
      (request) => joinKeeper(services.aggregator, request.params.run, keyOf(request), request.body.token),
    );
  };
}

/** Fires when who asked hangs up, when the process stops, or after a while. */
function patience(reply: FastifyReply, stop: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return AbortSignal.any([stop, gone.signal, AbortSignal.timeout(WAIT_MS)]);
}

/** By which keepers and groups of a sharded run take their seats. */
export function seatRoutes(services: RouteServices): FastifyPluginAsyncZod {
  const { aggregator, relays } = services;
  return async (app) => {
    requireSignature(app, services, { of: 'seats' });
    app.post(
      '/v1/runs/:run/seat',
      { schema: { params: runParams, body: seatRequestSchema, response: { 200: seatAnswerSchema } } },
      async (request) => {
        const { run } = request.params;
        const answer = await giveSeat(aggregator, run, keyOf(request), request.body);
        await relays.refresh(run);
        return answer;
      },
    );
    app.get(
      '/v1/runs/:run/seats',
      { schema: { params: runParams, response: { 200: seatsAnswerSchema } } },
      async ({ params }) => {
        const relay = await relays.of(params.run);
        return relay === null ? { seats: null, newcomers: [] } : relay.told;
      },
    );
  };
}

/** What keepers and groups of a sharded run send and fetch, all of which lasts no longer than the process. */
export function relayRoutes(services: RouteServices): FastifyPluginAsyncZod {
  const { aggregator, relays } = services;

  /** Errors: ROUND_REFUSED before the run begins. */
  async function relayOf(run: string): Promise<RunRelay> {
    const relay = await relays.of(run);
    if (relay !== null) return relay;
    throw new PluralError('ROUND_REFUSED', `run "${run}" has not begun: its seats are not taken yet`, {
      hint: 'pluralllm aggregator status says who is waited for.',
    });
  }

  return async (app) => {
    requireSignature(app, services, { of: 'seats', nonces: new RecentNonces(aggregator.clock) });
    // Before the body is read.
    boundAtOnce(app);
    app.post(
      '/v1/runs/:run/frames',
      {
        bodyLimit: FRAMES_BYTES,
        schema: { params: runParams, response: { 200: relayedAnswerSchema } },
      },
      async (request) => {
        const relayed = readCbor(bytesOf(request), relayedSchema, MOST_ITEMS);
        if (relayed === null) throw malformed();
        (await relayOf(request.params.run)).take(keyOf(request), relayed);
        return { taken: relayed.frames.length };
      },
    );
    app.get(
      '/v1/runs/:run/inbox',
      {
        schema: {
          params: runParams,
          querystring: z.strictObject({
            relay: z.string().max(64),
            after: count,
            course: count,
            order: count,
            newcomers: count,
          }),
        },
      },
      async (request, reply) => {
        const relay = await relayOf(request.params.run);
        const signal = patience(reply, relays.signal);
        const inbox = await relay.inbox(keyOf(request), request.query, signal);
        return reply.type('application/octet-stream').send(Buffer.from(encodeCbor(inbox)));
      },
    );
  };
}

/** Errors: RATE_LIMITED. */
function boundAtOnce(app: FastifyInstance): void {
  const underWay = new Map<string, number>();
  app.addHook('onRequest', async (request, reply) => {
    const key = keyOf(request);
    const before = underWay.get(key) ?? 0;
    if (before >= MOST_AT_ONCE) {
      throw new PluralError('RATE_LIMITED', `${before} requests of this key wait at the relay`, {
        hint: 'One process sends and fetches for a key: stop the others.',
      });
    }
    underWay.set(key, before + 1);
    finished(reply.raw, () => {
      const left = (underWay.get(key) ?? 1) - 1;
      if (left > 0) underWay.set(key, left);
      else underWay.delete(key);
    });
  });
}

function malformed(): PluralError {
  return new PluralError('REQUEST_MALFORMED', 'this is not what is sent to a relay', {
    hint: 'See docs/protocol.md.',
  });
}

function bytesOf({ body }: FastifyRequest): Buffer {
  if (Buffer.isBuffer(body)) return body;
  throw malformed();
}
