import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { checkVectors, relativeError } from '../../src/training/vectors.ts';

/** Relative L2 error that float32 may have against the float64 reference. */
const TOLERANCE = 2e-6;
const FILES = ['gpo-small.json', 'gpo-medium.json'];
const pathOf = (file: string) => fileURLToPath(new URL(`../vectors/${file}`, import.meta.url));

interface Vectors {
  context: { y: number[] };
  losses: number[];
  predicted: Record<string, number[]>;
  parameters: Record<string, number[]>;
  gradients: Record<string, number[]>;
  parameters_after_3_steps: Record<string, number[]>;
}

const readVectors = (file: string): Vectors => JSON.parse(readFileSync(pathOf(file), 'utf8'));

describe.each(FILES)('%s on the CPU', (file) => {
  test('every figure is within 2e-6 of the float64 reference', async () => {
    const checks = await checkVectors(pathOf(file), 'cpu', TOLERANCE);
    expect(checks.filter(({ passed }) => !passed)).toEqual([]);
    for (const { error } of checks) expect(error).toBeLessThanOrEqual(TOLERANCE);
  });

  test('no figure of the file is left out', async () => {
    const { gradients, parameters_after_3_steps: after, losses, predicted } = readVectors(file);
    const checks = await checkVectors(pathOf(file), 'cpu', TOLERANCE);
    expect(losses).toHaveLength(3);
    expect(checks.map(({ figure }) => figure).sort()).toEqual(
      [
        ...Object.keys(predicted).map((name) => `predicted.${name}`),
        ...losses.map((_, step) => `losses[${step}]`),
        ...Object.keys(gradients).map((name) => `gradients.${name}`),
        ...Object.keys(after).map((name) => `parameters_after_3_steps.${name}`),
      ].sort(),
    );
  });
});

describe('a changed file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-vectors-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Names of the figures that fail after a change to the small file. */
  async function failedAfter(change: (vectors: Vectors) => void): Promise<string[]> {
    const vectors = readVectors('gpo-small.json');
    change(vectors);
    const path = join(folder, 'changed.json');
    writeFileSync(path, JSON.stringify(vectors));
    const checks = await checkVectors(path, 'cpu', TOLERANCE);
    return checks.filter(({ passed }) => !passed).map(({ figure }) => figure);
  }

  const largestOf = (values: readonly number[]) =>
    values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);
  const nudge = (values: number[]) => {
    values[largestOf(values)]! *= 1 + 1e-4;
  };

  test('fails at the figure that was changed and at no other', async () => {
    expect(await failedAfter(() => {})).toEqual([]);
    expect(await failedAfter(({ losses }) => nudge(losses))).toEqual([
      expect.stringMatching(/^losses\[\d\]$/),
    ]);
    expect(await failedAfter(({ predicted }) => nudge(predicted['scale']!))).toEqual(['predicted.scale']);
    expect(await failedAfter(({ gradients }) => nudge(gradients['embedder.0.weight']!))).toEqual([
      'gradients.embedder.0.weight',
    ]);
    expect(
      await failedAfter(({ parameters_after_3_steps: after }) => nudge(after['predictor.0.bias']!)),
    ).toEqual(['parameters_after_3_steps.predictor.0.bias']);
  });

  test('fails nearly everywhere when an input was changed', async () => {
    const failed = await failedAfter(({ context }) => {
      context.y.reverse();
    });
    expect(failed).toEqual(expect.arrayContaining(['losses[0]', 'predicted.loc']));
    expect(failed.length).toBeGreaterThan(20);
  });

  test('a missing figure fails, a missing parameter cannot be used', async () => {
    const failed = await failedAfter(({ gradients }) => {
      delete gradients['predictor.0.bias'];
    });
    expect(failed).toEqual(['gradients.predictor.0.bias']);
    const broken = failedAfter(({ parameters }) => {
      parameters['predictor.0.bias']!.pop();
    });
    await expect(broken).rejects.toMatchObject({
      code: 'DATA_FORMAT',
      message: expect.stringContaining('predictor.0.bias'),
    });
  });

  test('what is no vector file is DATA_FORMAT, what is not there FILE_NOT_FOUND', async () => {
    const path = join(folder, 'other.json');
    for (const text of ['{', '[]', '{"config":{}}']) {
      writeFileSync(path, text);
      await expect(checkVectors(path, 'cpu', 1)).rejects.toMatchObject({ code: 'DATA_FORMAT' });
    }
    const missing = checkVectors(join(folder, 'missing.json'), 'cpu', 1);
    await expect(missing).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('relativeError', () => {
  test('is the L2 distance over the size of the reference', () => {
    expect(relativeError([3, 4], [3, 4])).toBe(0);
    expect(relativeError([3, 5], [3, 4])).toBe(0.2);
    expect(relativeError([6, 8], [3, 4])).toBe(1);
  });

  test('is absolute where the reference is zero throughout', () => {
    expect(relativeError([3, 4], [0, 0])).toBe(5);
    expect(relativeError([], [])).toBe(0);
  });

  test('no tolerance lets another length or NaN pass', () => {
    expect(relativeError([1], [1, 0])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError([Number.NaN], [1]) <= Number.MAX_VALUE).toBe(false);
  });
});
