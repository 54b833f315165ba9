import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A file of the repository. */
export const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Heads of columns. */
export const left = (title: string) => ({ title, align: 'left' as const });
export const right = (title: string) => ({ title, align: 'right' as const });

/** Mean and standard deviation. */
export function spread(values: readonly number[]): [mean: number, deviation: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / (values.length - 1))];
}

/** Mean, and the deviation where there are several. */
export function withSpread(values: readonly number[]): string {
  const [mean, deviation] = spread(values);
  return values.length < 2 ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`;
}

/** First digits of the config digests, and what they were run from. */
export function provenance(
  seeds: readonly number[],
  digests: readonly string[],
  commit: string | null,
): string {
  const configs = [...new Set(digests)].map((digest) => digest.slice(0, 8)).join(', ');
  return `Seeds ${seeds.join(', ')} on one split; commit ${commit}; config digests ${configs}.`;
}

/** A committed result; its writer and its reader agree on its type. */
export function resultOf<Result>(path: string): Result {
  const saved: Result = JSON.parse(readFileSync(at(path), 'utf8'));
  return saved;
}
