import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { PluralError } from '../core/errors.ts';

/** One file of the status page, as it is served. */
export interface PageAsset {
  readonly path: string;
  readonly contentType: string;
  readonly bytes: Buffer;
}

const FOLDER = new URL('./page/', import.meta.url);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * Headers of every asset. Nothing from elsewhere is loaded, no script or style stands in the page itself, and nothing
 * but text can be made of what groups call themselves: browsers that know trusted types refuse markup from strings.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  // A page of the version before would not know the answers of this one.
  'cache-control': 'no-cache',
};

function readAsset(name: string): PageAsset {
  const contentType = CONTENT_TYPES[extname(name)];
  if (contentType === undefined) throw new PluralError('INTERNAL', `no content type for the page's ${name}`);
  const path = name === 'index.html' ? '/' : `/page/${name}`;
  return { path, contentType, bytes: readFileSync(new URL(name, FOLDER)) };
}

let assets: readonly PageAsset[] | undefined;

/**
 * The files of the status page: `/` and what it loads from `/page/`. Read once.
 * Errors: INTERNAL where the build left them out.
 */
export function pageAssets(): readonly PageAsset[] {
  assets ??= readdirSync(FOLDER).sort().map(readAsset);
  return assets;
}
