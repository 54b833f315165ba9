import { PluralError } from '../../core/errors.ts';
import type { Seat } from '../frames/link.ts';

/** Who has which part of a sharded model: one keeper for each stage in order, and groups, which have front and head. */
export interface Seats {
  readonly keepers: readonly Seat[];
  readonly groups: readonly Seat[];
}

/** Fewest keepers: the middle one of three has no neighbour that is a group. */
const LEAST_KEEPERS = 3;

/** Refuses seats of which somebody would have more than one. Errors: STAGE_TAKEN. */
export function checkSeats({ keepers, groups }: Seats): void {
  const refused = (what: string) =>
    new PluralError('STAGE_TAKEN', what, { hint: 'Let somebody else keep the stage.' });
  if (keepers.length < LEAST_KEEPERS) {
    throw refused(`${keepers.length} stage(s) have a keeper, a sharded model has at least ${LEAST_KEEPERS}`);
  }
  const ids = keepers.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw refused(`${twice} would keep two stages`);
  const both = groups.find(({ id }) => ids.includes(id));
  if (both !== undefined) throw refused(`${both.id} is a group and would keep a stage`);
}

/** Whose part lies on each side of a boundary of a group's task: its own at both ends, keepers between them. */
export function sidesOf(
  { keepers }: Pick<Seats, 'keepers'>,
  group: string,
  boundary: number,
): { readonly before: string; readonly after: string } {
  return { before: keepers[boundary - 1]?.id ?? group, after: keepers[boundary]?.id ?? group };
}
