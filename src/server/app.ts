import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { PluralError } from '../core/errors.ts';
import { ownVersion } from '../core/version.ts';
import { SIGNATURE_HEADERS } from '../wire/signed-request.ts';
import { answerError } from './request-errors.ts';
import { adminRoutes } from './routes/admin.ts';
import { eventRoutes } from './routes/events.ts';
import { groupRoutes, joinRoutes } from './routes/group.ts';
import { pageRoutes } from './routes/page.ts';
import { publicRoutes } from './routes/public.ts';
import { uploadRoutes } from './routes/uploads.ts';
import type { Services } from './services.ts';

/** Bodies of requests that name nothing larger. */
const JSON_BYTES = 65_536;
/** A chunk on a slow link takes some seconds; who needs longer sends smaller ones. */
const REQUEST_TIMEOUT_MS = 120_000;

/** How the process listens. */
export interface AppOptions {
  /** PEM texts; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly trustProxy: boolean;
  readonly logger: FastifyBaseLogger;
}

/** One limit for each key, one for each address without a key. */
async function limitRates(app: FastifyInstance, { limits }: Services): Promise<void> {
  await app.register(rateLimit, {
    global: true,
    timeWindow: 60_000,
    keyGenerator: ({ headers, ip }) => {
      const key = headers[SIGNATURE_HEADERS.key];
      return typeof key === 'string' && /^[0-9a-f]{64}$/.test(key) ? key : ip;
    },
    max: (_request, key) => (key.length === 64 ? limits.perKeyPerMinute : limits.anonymousPerMinute),
  });
}

/** The aggregator's HTTP interface, not yet listening. */
export async function buildApp(services: Services, options: AppOptions): Promise<FastifyInstance> {
  const { tls, trustProxy, logger } = options;
  const base = fastify({
    loggerInstance: logger,
    ...(tls === null ? {} : { https: tls }),
    trustProxy,
    bodyLimit: JSON_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    logController: new LogController({ disableRequestLogging: true }),
    // Streams of events would keep the process: their connections are cut at the end.
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1000 },
  });
  const app: FastifyInstance = base;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const error = new PluralError(
      'ROUTE_UNKNOWN',
      `there is nothing at ${request.method} ${request.url.slice(0, 200)}`,
      {
        hint: 'See /openapi.json.',
      },
    );
    answerError(error, request, reply);
  });
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    services.metrics.request(
      routeOptions.url ?? 'unknown',
      method,
      reply.statusCode,
      reply.elapsedTime / 1000,
    );
  });
  await limitRates(app, services);
  await app.register(swagger, {
    openapi: { info: { title: 'pluralllm aggregator', version: ownVersion() } },
    transform: jsonSchemaTransform,
  });
  for (const routes of [publicRoutes, eventRoutes, joinRoutes, groupRoutes, uploadRoutes, adminRoutes]) {
    await app.register(routes(services));
  }
  await app.register(pageRoutes());
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  return app;
}
