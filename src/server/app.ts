import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { PluralError } from '../core/errors.ts';
import { ownVersion } from '../core/version.ts';
import { RateLimits } from './rate-limits.ts';
import { answerBrokenRequest, answerError } from './request-errors.ts';
import { adminRoutes } from './routes/admin.ts';
import { eventRoutes } from './routes/events.ts';
import { groupRoutes, joinRoutes } from './routes/group.ts';
import { pageRoutes } from './routes/page.ts';
import { publicRoutes } from './routes/public.ts';
import { depositRoutes, keeperRoutes, relayRoutes, seatRoutes } from './routes/sharding.ts';
import { uploadRoutes } from './routes/uploads.ts';
import type { Services } from './services.ts';

/** Bodies of requests that name nothing larger. */
const JSON_BYTES = 65_536;
/** A chunk on a slow link takes some seconds; who needs longer sends smaller ones. As long nothing may move at all. */
const REQUEST_TIMEOUT_MS = 120_000;
/** A group's id in a path, with each of its 256 UTF-16 units as up to nine characters. */
const PARAMETER_CHARACTERS = 256 * 9;

/** How the process listens. */
export interface AppOptions {
  /** PEM texts; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Whether the address is the one that the proxy in front added last to X-Forwarded-For. */
  readonly trustProxy: boolean;
  readonly logger: FastifyBaseLogger;
}

function refuseUnknown(app: FastifyInstance, rates: RateLimits): void {
  const preHandler = rates.countAddress.bind(rates);
  app.setNotFoundHandler({ preHandler }, ({ method, url }) => {
    throw new PluralError('ROUTE_UNKNOWN', `there is nothing at ${method} ${url.slice(0, 200)}`, {
      hint: 'See /openapi.json.',
    });
  });
}

/** What groups ask counts for their keys, all else for the address it comes from. */
async function addRoutes(app: FastifyInstance, services: Services, rates: RateLimits): Promise<void> {
  const shared = { ...services, rates };
  for (const routes of [
    joinRoutes,
    groupRoutes,
    uploadRoutes,
    keeperRoutes,
    seatRoutes,
    relayRoutes,
    depositRoutes,
  ])
    await app.register(routes(shared));
  await app.register(async (open) => {
    open.addHook('onRequest', rates.countAddress.bind(rates));
    for (const routes of [publicRoutes, eventRoutes, adminRoutes]) await open.register(routes(shared));
    await open.register(pageRoutes());
    open.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  });
}

/** Nobody in between keeps an answer: one address has another for each group, and the next one may differ. */
const ANSWER_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

function forbidKeeping(app: FastifyInstance): void {
  app.addHook('onSend', async (_request, reply) => {
    for (const [name, value] of Object.entries(ANSWER_HEADERS)) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
  });
}

/** The aggregator's HTTP interface, not yet listening. */
export async function buildApp(services: Services, options: AppOptions): Promise<FastifyInstance> {
  const { tls, trustProxy, logger } = options;
  const base = fastify({
    loggerInstance: logger,
    ...(tls === null ? {} : { https: tls }),
    // The nearest proxy alone: what stands further left in the header was written by whoever asks.
    trustProxy: (_address, hop) => trustProxy && hop === 0,
    bodyLimit: JSON_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    // What the router itself refuses passes no hooks.
    frameworkErrors: (error, request, reply) => answerError(error, request, reply.headers(ANSWER_HEADERS)),
    clientErrorHandler: answerBrokenRequest,
    logController: new LogController({ disableRequestLogging: true }),
    // Streams of events would keep the process: their connections are cut at the end.
    forceCloseConnections: true,
    routerOptions: { maxParamLength: PARAMETER_CHARACTERS },
  });
  const app: FastifyInstance = base;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerError);
  // Bodies are JSON, or bytes where a route says so.
  app.removeContentTypeParser('text/plain');
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    services.metrics.request(
      routeOptions.url ?? 'unknown',
      method,
      reply.statusCode,
      reply.elapsedTime / 1000,
    );
  });
  forbidKeeping(app);
  const rates = await RateLimits.create(app, services.limits);
  refuseUnknown(app, rates);
  await app.register(swagger, {
    openapi: { info: { title: 'pluralllm aggregator', version: ownVersion() } },
    transform: jsonSchemaTransform,
  });
  await addRoutes(app, services, rates);
  return app;
}
