import { PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';
import { groupIndex } from './group-index.ts';
import type { Survey } from './survey.ts';

/** Groups by a count to draw, or by name. */
export type GroupChoice = number | readonly string[];

export interface GroupSplitRequest {
  readonly training: GroupChoice;
  readonly unseen: GroupChoice;
  readonly seed: number;
}

/** Indices into `Survey.groups`, in drawn or listed order. */
export interface GroupSplit {
  readonly training: readonly number[];
  readonly unseen: readonly number[];
}

/** Code unit order: the same on every machine, whatever its language. */
function inCodeUnitOrder(ids: readonly string[]): string[] {
  return [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function checkListed(ids: readonly string[]): void {
  const repeated = ids.find((id, position) => ids.indexOf(id) !== position);
  if (repeated === undefined) return;
  throw new PluralError('CONFIG_CONFLICT', `group "${repeated}" is listed twice in the split`, {
    hint: 'A group is either trained on or held back, and named once.',
  });
}

function checkCounts({ training, unseen }: GroupSplitRequest): void {
  for (const [name, choice] of Object.entries({ training, unseen })) {
    if (typeof choice === 'number' && !(Number.isInteger(choice) && choice >= 0)) {
      throw new PluralError(
        'CONFIG_INVALID',
        `${name} groups: ${choice} is not a whole number of at least 0`,
      );
    }
  }
  if (training === 0 || (typeof training !== 'number' && training.length === 0)) {
    throw new PluralError('CONFIG_INVALID', 'a split needs at least one training group');
  }
}

/**
 * Chooses the groups to train on and the groups to hold back. Counts are drawn: the ids not listed by name are sorted by
 * code unit, permuted by the seed, and the first go to training, the next to unseen. Lists are taken as they are.
 * Errors: DATA_UNKNOWN_GROUP; CONFIG_CONFLICT for a group named twice or more groups than there are; CONFIG_INVALID.
 */
export function splitGroups({ groups }: Survey, request: GroupSplitRequest): GroupSplit {
  checkCounts(request);
  const { training, unseen, seed } = request;
  const listed = [training, unseen].flatMap((choice) => (typeof choice === 'number' ? [] : choice));
  for (const id of listed) groupIndex(groups, id);
  checkListed(listed);
  const free = groups.map(({ id }) => id).filter((id) => !listed.includes(id));
  const drawn = randomStream(seed, 'split', 'groups').shuffled(inCodeUnitOrder(free));
  const wanted = [training, unseen].reduce<number>(
    (sum, choice) => sum + (typeof choice === 'number' ? choice : 0),
    0,
  );
  if (wanted > drawn.length) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `the split draws ${wanted} groups where ${drawn.length} are free`,
      {
        hint: `The survey has ${groups.length} groups, ${listed.length} of them listed by name. Ask for fewer.`,
      },
    );
  }
  const take = (choice: GroupChoice): number[] => {
    const ids = typeof choice === 'number' ? drawn.splice(0, choice) : choice;
    return ids.map((id) => groupIndex(groups, id));
  };
  return { training: take(training), unseen: take(unseen) };
}

/**
 * The questions to hold out of training: that fraction of all, rounded, drawn by the seed from the ids in code unit
 * order. Returns indices into `Survey.questions`, ascending. Errors: CONFIG_INVALID.
 */
export function splitQuestions(
  { questions }: Survey,
  { heldOutFraction, seed }: { readonly heldOutFraction: number; readonly seed: number },
): readonly number[] {
  if (!(heldOutFraction >= 0 && heldOutFraction < 1)) {
    throw new PluralError(
      'CONFIG_INVALID',
      `held-out fraction ${heldOutFraction} is not at least 0 and below 1`,
    );
  }
  const position = new Map(questions.map(({ id }, index) => [id, index]));
  const drawn = randomStream(seed, 'split', 'questions').shuffled(inCodeUnitOrder([...position.keys()]));
  const count = Math.round(heldOutFraction * questions.length);
  return drawn
    .slice(0, count)
    .map((id) => position.get(id)!)
    .sort((a, b) => a - b);
}
