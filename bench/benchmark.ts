/** One measured figure. Ratios come from interleaved runs in one session; single times are only for orientation. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is compared with, and value / peer's value. */
  readonly peer?: string;
  readonly ratio?: number;
}

/** A benchmark by name: measures, and answers its rows. */
export interface Benchmark {
  readonly name: string;
  readonly describe: string;
  run(): Promise<readonly Row[]>;
}

/** How long some work takes. */
export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Median of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A figure as tables show it: small ones with two digits, others with one behind the point; whole numbers as they are. */
export function figureText(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) < 1 ? value.toPrecision(2) : value.toFixed(1);
}
