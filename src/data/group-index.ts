import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import type { Group } from './survey.ts';

/** The position of a group id in a survey; DATA_UNKNOWN_GROUP with the nearest id where there is none. */
export function groupIndex(groups: readonly Group[], id: string): number {
  const index = groups.findIndex((group) => group.id === id);
  if (index !== -1) return index;
  const known = groups.map((group) => group.id);
  throw new PluralError('DATA_UNKNOWN_GROUP', `there is no group "${id}"`, { hint: suggestion(id, known) });
}
