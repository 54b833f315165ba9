import type { GroupScore, SplitName } from './evaluation.ts';

/** How well one group's answer to one question was predicted: means over the context draws. */
export interface QuestionScore {
  readonly group: string;
  /** Index into `Survey.questions`. */
  readonly question: number;
  /** As in `GroupScore`. */
  readonly alignment: number;
  /** As in `GroupScore`. */
  readonly distanceBase2: number;
}

/** Arithmetic mean of a list that is not empty. */
export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The scores by a key, in order of first appearance. */
export function scoresBy<Key>(
  scores: readonly QuestionScore[],
  keyOf: (score: QuestionScore) => Key,
): Map<Key, QuestionScore[]> {
  const groups = new Map<Key, QuestionScore[]>();
  for (const score of scores) {
    const members = groups.get(keyOf(score));
    if (members === undefined) groups.set(keyOf(score), [score]);
    else members.push(score);
  }
  return groups;
}

/** Each group's means over its questions, in order of first appearance. */
export function groupMeans(scores: readonly QuestionScore[]): Omit<GroupScore, 'split'>[] {
  return [...scoresBy(scores, ({ group }) => group)].map(([group, own]) => ({
    group,
    alignment: meanOf(own.map((score) => score.alignment)),
    distanceBase2: meanOf(own.map((score) => score.distanceBase2)),
    questions: new Set(own.map((score) => score.question)).size,
  }));
}

/** The same as the groups' scores in one split. */
export function groupScores(scores: readonly QuestionScore[], split: SplitName): GroupScore[] {
  return groupMeans(scores).map(({ group, ...means }) => ({ group, split, ...means }));
}
