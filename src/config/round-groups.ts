import type { Protection } from '../privacy/protection.ts';
import { drawnOf, type Participation } from '../wire/participation.ts';
import type { ConfigFields } from './schema.ts';

/** How many groups train. */
export function trainingGroups({ data }: ConfigFields): number {
  const { training } = data.groups;
  return typeof training === 'number' ? training : training.length;
}

/** How many take part in each round, trustees included, where as many are enrolled as the configuration says. */
export function roundGroups(config: ConfigFields, { groups, trustees }: Protection): number {
  const count = trainingGroups(config) + trustees.length;
  const { participation } = config.round;
  return participation === 1 ? count : drawnOf(participation, count, groups.least);
}

/** How the groups of each round are drawn; null where all take part. */
export function participationOf(config: ConfigFields): Participation | null {
  const { round, seed } = config;
  const { participation: share } = round;
  return share === 1 ? null : { seed, share, begin: trainingGroups(config) };
}
