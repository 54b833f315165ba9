import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defaultCacheFolder, readCached, writeCached } from '../../src/features/cache.ts';
import { computeFeatures } from '../../src/features/compute.ts';
import { defineFeatures } from '../../src/features/provider.ts';
import { FEATURES_PROVIDERS, featuresProvider } from '../../src/features/table.ts';
import { tinyQuestions } from '../support/tiny-survey.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'pluralllm-cache-'));
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

const QUESTIONS = tinyQuestions(2);
const VECTORS = { width: 2, rows: Float32Array.from({ length: 12 }, (_, i) => i / 7) };

function refuse(message: string): never {
  throw new Error(`unexpected warning: ${message}`);
}

describe('the cache folder', () => {
  test.each([
    [{ PLURALLLM_CACHE: '/a', XDG_CACHE_HOME: '/b' }, '/a'],
    [{ XDG_CACHE_HOME: '/b' }, '/b/pluralllm'],
    [{ PLURALLLM_CACHE: '', XDG_CACHE_HOME: 'relative' }, join(homedir(), '.cache', 'pluralllm')],
    [{}, join(homedir(), '.cache', 'pluralllm')],
  ])('%j', (environment, folder) => expect(defaultCacheFolder(environment)).toBe(folder));
});

describe('the cache', () => {
  test('gives back what was put in, and nothing for another digest', () => {
    writeCached(FOLDER, 'aa', QUESTIONS, VECTORS, refuse);
    expect(readCached(FOLDER, 'aa', QUESTIONS, refuse)).toEqual(VECTORS);
    expect(readCached(FOLDER, 'bb', QUESTIONS, refuse)).toBeUndefined();
  });

  test('a file under a wrong name, or for other questions, is not used', () => {
    writeCached(FOLDER, 'cc', QUESTIONS, VECTORS, refuse);
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    expect(readCached(FOLDER, 'cc', tinyQuestions(1), warn)).toBeUndefined();
    expect(warnings).toHaveLength(1);
  });

  test('a folder that cannot be made is a warning, and the features are there', async () => {
    const blocked = join(FOLDER, 'file');
    writeFileSync(blocked, '');
    const warnings: string[] = [];
    const features = await computeFeatures({
      provider: featuresProvider('lexical'),
      questions: QUESTIONS,
      cacheFolder: blocked,
      warn: (message) => warnings.push(message),
    });
    expect(features.rows.length).toBeGreaterThan(0);
    expect(warnings).toEqual([expect.stringContaining(blocked)]);
  });
});

describe('the table', () => {
  test('names are unique, and every provider describes itself', () => {
    const names = FEATURES_PROVIDERS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, describe: text } of FEATURES_PROVIDERS) {
      expect(featuresProvider(name).name).toBe(name);
      expect(text).not.toBe('');
    }
  });

  test('a mistyped name is answered with the nearest', () => {
    expect(() => featuresProvider('lexicel')).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.stringContaining('"lexical"') }),
    );
  });

  test('the version of a provider is part of the digest', async () => {
    const ofVersion = (version: number) =>
      defineFeatures({
        name: 'test',
        describe: 'ones',
        version,
        options: z.strictObject({}),
        create: () => ({
          identity: {},
          cacheable: false,
          compute: async () => ({ width: 1, rows: new Float32Array(6).fill(1) }),
        }),
      });
    const digests = await Promise.all(
      [1, 2].map((version) => computeFeatures({ provider: ofVersion(version), questions: QUESTIONS })),
    );
    expect(digests[0]!.digest).not.toBe(digests[1]!.digest);
  });
});
