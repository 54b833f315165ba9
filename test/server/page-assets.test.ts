import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PAPER, type Shade, TONES } from '../../src/report/palette.ts';
import { PAGE_HEADERS, pageAssets } from '../../src/server/page-assets.ts';
import { ROOT } from '../support/cli.ts';

const texts = new Map(pageAssets().map(({ path, bytes }) => [path, bytes.toString('utf8')]));
const textOf = (path: string): string => texts.get(path) ?? '';
const endingWith = (end: string): [string, string][] => [...texts].filter(([path]) => path.endsWith(end));
const found = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1] ?? match[0]);

describe('the assets of the status page', () => {
  test('are read once, each with its content type', () => {
    expect(pageAssets()).toBe(pageAssets());
    const types = new Map(pageAssets().map(({ path, contentType }) => [path, contentType]));
    expect(types.get('/')).toBe('text/html; charset=utf-8');
    expect(types.get('/page/page.css')).toBe('text/css; charset=utf-8');
    expect(types.get('/page/page.js')).toBe('text/javascript; charset=utf-8');
    expect(types.get('/page/icon.svg')).toBe('image/svg+xml');
  });

  test('name only each other, and all are named', () => {
    const named = found(textOf('/'), /(?:src|href)="([^"#]*)"/g);
    const imported = endingWith('.js').flatMap(([, text]) =>
      found(text, /^(?:import .*|\} )from '\.(\/[^']+)';$/gm),
    );
    const all = new Set(['/', ...named, ...imported.map((path) => `/page${path}`)]);
    expect([...all].sort()).toEqual([...texts.keys()].sort());
  });

  test('have no script or style in the page itself and nothing from elsewhere', () => {
    expect(textOf('/')).not.toMatch(/<style|<script(?![^>]*src=)|\sstyle=|\son\w+=/);
    const addresses = [...texts.values()].flatMap((text) =>
      found(text, /(?:https?:)?\/\/[\w.-]+\.\w+[^'"\s]*/g),
    );
    expect(new Set(addresses)).toEqual(new Set(['http://www.w3.org/2000/svg']));
    expect(
      endingWith('.css')
        .map(([, text]) => text)
        .join(''),
    ).not.toMatch(/url\(|@import/);
  });

  test('make no markup of strings and store nothing', () => {
    const forbidden =
      /innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|\beval\b|Function\(|DOMParser|(?:local|session)Storage|indexedDB|\.cookie/;
    for (const [path, text] of endingWith('.js')) expect(text, path).not.toMatch(forbidden);
  });

  test('move nothing, for readers who want no motion and for all others', () => {
    for (const [path, text] of endingWith('.css')) {
      expect(text, path).not.toMatch(/animation|transition|@keyframes|scroll-behavior/);
    }
  });

  test('are served with headers that allow nothing else', () => {
    const policy = (PAGE_HEADERS['content-security-policy'] ?? '').split('; ');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("style-src 'self'");
    expect(policy.join()).not.toMatch(/unsafe|\*|https?:/);
    expect(PAGE_HEADERS).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    });
  });
});

describe('the colours of the status page', () => {
  const [light = '', dark = ''] = textOf('/page/page.css').split('@media (prefers-color-scheme: dark)');
  const reported: readonly (readonly [string, Shade])[] = [
    ...Object.entries(PAPER),
    ...Object.entries(TONES).map(([name, shade]) => [`tone-${name}`, shade] as const),
  ];

  test.each([
    ['light', light],
    ['dark', dark],
  ] as const)('are those of the report: %s', (mode, css) => {
    const colours = new Map(reported.map(([name, shade]) => [name, shade[mode]]));
    const own = [...css.matchAll(/--([\w-]+): (#\w+);/g)].map(([, name = '', colour]) => ({ name, colour }));
    expect(own.length).toBeGreaterThan(8);
    expect(own).toEqual(own.map(({ name }) => ({ name, colour: colours.get(name) })));
  });
});

test('the scripts of the page fit the types of wire/', () => {
  const options =
    '--noEmit --allowJs --checkJs --strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes';
  const more =
    '--noUnusedLocals --noUnusedParameters --target es2023 --lib es2023,dom,dom.iterable --skipLibCheck';
  const modules = '--module esnext --moduleResolution bundler --allowImportingTsExtensions --types node';
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const flags = ['--ignoreConfig', ...`${options} ${more} ${modules}`.split(' ')];
  const checked = spawnSync(process.execPath, [compiler, ...flags, 'src/server/page/page.js'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(checked.stdout).toBe('');
  expect(checked.status).toBe(0);
});
