import type { Strategy } from './strategy.ts';

/**
 * A strategy that weighs by scores, on a grid of updates: no group weighs less than `least`, the smallest weight that the grid does not round
 * away. Otherwise few bits and a strong preference for groups that are predicted badly could leave a round in which nobody weighs anything.
 * Other strategies stay as they are: their weights do not shrink as the model gets better, and the weights' own grid has room for them.
 */
export function withLeastWeight(strategy: Strategy, least: number): Strategy {
  if (!strategy.scores) return strategy;
  return { ...strategy, weightOf: (group) => Math.max(least, strategy.weightOf(group)) };
}
