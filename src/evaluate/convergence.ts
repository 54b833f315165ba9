import { PluralError } from '../core/errors.ts';

/** How a curve is judged. */
export interface ConvergenceRule {
  /** `down` for a loss, `up` for an alignment score. */
  readonly direction: 'down' | 'up';
  /** Points averaged around each point, an odd number; 1 for none. Default 5. */
  readonly window?: number;
  /** Share of the final improvement that counts as converged. Default 0.95. */
  readonly share?: number;
}

/** Centred moving average over `window` points, over fewer near the ends: it does not lag behind the curve. */
export function smoothed(values: readonly number[], window: number): number[] {
  const half = Math.floor(window / 2);
  return values.map((_, i) => {
    const near = values.slice(Math.max(0, i - half), i + half + 1);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

/**
 * Index of the first point at which the smoothed curve has made 95% of its final improvement (last point against
 * first); null where it never improved or has fewer than two points. Errors: NOT_FINITE.
 */
export function convergenceIndex(values: readonly number[], rule: ConvergenceRule): number | null {
  const { direction, window = 5, share = 0.95 } = rule;
  const broken = values.findIndex((value) => !Number.isFinite(value));
  if (broken >= 0) {
    throw new PluralError('NOT_FINITE', `point ${broken} of a curve is ${values[broken]}`, {
      hint: 'The training diverged; lower its learning rate.',
    });
  }
  const curve = smoothed(values, window);
  const first = curve[0] ?? 0;
  const gains = curve.map((value) => (direction === 'up' ? value - first : first - value));
  const final = gains.at(-1) ?? 0;
  return final > 0 ? gains.findIndex((gain) => gain >= share * final) : null;
}
