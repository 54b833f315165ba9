import { sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import type { RoundContext } from '../protection.ts';
import { type Roster as KeyRoster, rosterOf as keysOf } from '../secure-sum/roster.ts';
import { type Assumptions, findGraph, type GraphPlan, neighboursOf } from './graph.ts';
import { type Advert, type KeyName, MASKED } from './messages.ts';

/** The groups of one attempt of a round with their keys, and who is whose neighbour. */
export interface Roster extends KeyRoster<KeyName> {
  readonly plan: GraphPlan;
  readonly neighbours: ReadonlyMap<string, readonly string[]>;
}

/** The neighbour graph is a function of all keys: whoever wants another one must change them. */
export function rosterOf(context: RoundContext, adverts: readonly Advert[], assumed: Assumptions): Roster {
  const roster = keysOf(MASKED, context, adverts, { assumed });
  const plan = graphFor(context, roster.groups.length, assumed);
  const beacon = sha256('pluralllm-mask-v1 beacon', roster.digest);
  return { ...roster, plan, neighbours: neighboursOf(roster.groups, beacon, plan) };
}

function graphFor({ round }: RoundContext, groups: number, assumed: Assumptions): GraphPlan {
  const plan = findGraph(groups, assumed);
  if (plan !== null) return plan;
  throw new PluralError('ROUND_REFUSED', `round ${round}: there is no neighbour graph for ${groups} groups`, {
    hint: 'Fewer groups may be corrupt or lost where there are so many: see protection.corruptShare and dropoutShare.',
  });
}
