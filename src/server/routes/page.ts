import type { FastifyPluginAsync } from 'fastify';
import { PAGE_HEADERS, pageAssets } from '../page-assets.ts';

/** The status page and what it is made of. */
export function pageRoutes(): FastifyPluginAsync {
  return async (app) => {
    for (const { path, contentType, bytes } of pageAssets()) {
      app.get(path, { schema: { hide: true } }, (_request, reply) =>
        reply.headers(PAGE_HEADERS).type(contentType).send(bytes),
      );
    }
  };
}
