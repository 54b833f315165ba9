import { z } from 'zod';

/** How the groups of each round are drawn, where not all enrolled ones take part in every round. */
export const participationSchema = z.strictObject({
  /** Seed that everybody knows. */
  seed: z.int().min(0),
  /** Share of the enrolled groups that a round asks, rounded up. */
  share: z.number().gt(0).max(1),
  /** How many enrolled groups begin the run: with a quorum alone there would be nothing to draw from. */
  begin: z.int().min(1),
});
export type Participation = z.output<typeof participationSchema>;

/** How many of `groups` take part in a round: the share, rounded up, and at least `least` where there are as many. */
export function drawnOf(share: number, groups: number, least: number): number {
  // 0.55 * 100 is 55.00000000000001 in float64, and means 55.
  const rounded = Math.ceil(share * groups - 1e-9);
  return Math.min(groups, Math.max(least, rounded));
}
