import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { fileExists } from '../../src/core/files.ts';
import type { Question } from '../../src/data/survey.ts';
import { cachePath } from '../../src/features/cache.ts';
import { computeFeatures } from '../../src/features/compute.ts';
import { type Features, featureOf } from '../../src/features/features.ts';
import type { FeaturesProvider } from '../../src/features/provider.ts';

/** What the suite needs to know about a provider. */
export interface FeaturesCase {
  readonly provider: FeaturesProvider;
  readonly questions: readonly Question[];
  /** Called once before the tests: options that work on the questions, in a folder that is the suite's own. */
  readonly options: (folder: string) => Record<string, unknown>;
  /** Other options that give other vectors for the same questions. */
  readonly otherOptions: (folder: string) => Record<string, unknown>;
}

/** What every features provider promises; called from the test of each. */
export function featuresConformance({ provider, questions, options, otherOptions }: FeaturesCase): void {
  describe(`conformance of features "${provider.name}"`, () => {
    let folder = '';
    let settings: Record<string, unknown> = {};
    let features: Features;
    const warnings: string[] = [];
    const compute = (
      changes: { options?: unknown; questions?: readonly Question[]; cacheFolder?: string } = {},
    ) =>
      computeFeatures({
        provider,
        options: settings,
        questions,
        cacheFolder: null,
        warn: (message) => warnings.push(message),
        ...changes,
      });

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pluralllm-features-'));
      settings = options(folder);
      features = await compute();
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test('one vector per question and option, with their offsets', () => {
      const rows = questions.reduce((sum, question) => sum + question.options.length, 0);
      expect(features.provider).toBe(provider.name);
      expect(features.width).toBeGreaterThan(0);
      expect(features.rows).toHaveLength(rows * features.width);
      expect(features.offsets).toHaveLength(questions.length + 1);
      expect(features.offsets[questions.length]).toBe(rows);
      for (const [q, question] of questions.entries()) {
        expect(features.offsets[q + 1]! - features.offsets[q]!).toBe(question.options.length);
      }
    });

    test('all numbers are finite, and the options of a question can be told apart', () => {
      expect(features.rows.every(Number.isFinite)).toBe(true);
      for (const [q, question] of questions.entries()) {
        const vectors = question.options.map((_, option) => featureOf(features, q, option).join());
        expect(new Set(vectors).size).toBe(question.options.length);
      }
    });

    test('the same input gives the same bytes and digest', async () => {
      const again = await compute();
      expect(Buffer.from(bytesOf(again.rows)).equals(bytesOf(features.rows))).toBe(true);
      expect(again.digest).toBe(features.digest);
      expect(again.digest).toMatch(/^[0-9a-f]{64}$/);
    });

    test('the digest changes with options and with every kind of text', async () => {
      const [first, ...rest] = questions;
      const changed = (change: Partial<Question>) => [{ ...first!, ...change }, ...rest];
      const digests = await Promise.all([
        compute({ options: otherOptions(folder) }),
        compute({ questions: changed({ text: `${first!.text} Really?` }) }),
        compute({ questions: changed({ options: first!.options.map((option) => `${option}!`) }) }),
        compute({ questions: questions.slice(0, -1) }),
      ]);
      expect(new Set([features, ...digests].map(({ digest }) => digest)).size).toBe(5);
      expect(digests[0]!.rows).not.toEqual(features.rows);
    });

    test('a second run with a cache folder gives the same bytes', async () => {
      const cacheFolder = join(folder, 'cache');
      const cold = await compute({ cacheFolder });
      const warm = await compute({ cacheFolder });
      expect(fileExists(cachePath(cacheFolder, features.digest))).toBe(provider.open(settings).cacheable);
      for (const run of [cold, warm]) {
        expect(Buffer.from(bytesOf(run.rows)).equals(bytesOf(features.rows))).toBe(true);
        expect(run).toMatchObject({
          width: features.width,
          digest: features.digest,
          offsets: features.offsets,
        });
      }
      expect(warnings).toEqual([]);
    });

    test('a spoilt cache file is computed again, with a warning, and replaced', async () => {
      if (!provider.open(settings).cacheable) return;
      const cacheFolder = join(folder, 'spoilt');
      const { digest } = await compute({ cacheFolder });
      const path = cachePath(cacheFolder, digest);
      const whole = readFileSync(path);
      writeFileSync(path, whole.subarray(0, whole.length >> 1));
      const again = await compute({ cacheFolder });
      expect(again.rows).toEqual(features.rows);
      expect(warnings.splice(0)).toEqual([expect.stringContaining(path)]);
      expect(readFileSync(path).equals(whole)).toBe(true);
    });

    test('an unknown option is refused by name', () => {
      expect(() => provider.open({ ...settings, no_such_option: 1 })).toThrowError(
        expect.objectContaining({
          code: 'CONFIG_UNKNOWN_KEY',
          message: expect.stringContaining('no_such_option'),
        }),
      );
    });
  });
}
