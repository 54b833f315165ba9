import { randomStream } from '../core/random.ts';
import { drawnOf } from '../wire/participation.ts';
import type { AggregatorState } from './aggregator-state.ts';

/**
 * The groups of a round, in code-unit order: all that are enrolled, or as many as the run's share says, each set of them as likely as any other.
 * It is a function of the seed, the round and who is enrolled, so everybody who knows these can draw it again. Each group's lot depends on its
 * name alone: when one leaves, nobody else but who takes its place is drawn anew.
 */
export function drawGroups(
  { participation, quorum, enrolled }: Pick<AggregatorState, 'participation' | 'quorum' | 'enrolled'>,
  round: number,
): readonly string[] {
  if (participation === null) return enrolled;
  const { seed, share } = participation;
  const lots = enrolled.map((group) => ({
    group,
    lot: randomStream(seed, 'participation', round, group).uniform(),
  }));
  lots.sort((a, b) => a.lot - b.lot || (a.group < b.group ? -1 : 1));
  const drawn = lots.slice(0, drawnOf(share, enrolled.length, quorum));
  return drawn.map(({ group }) => group).sort();
}
