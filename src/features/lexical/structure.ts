import type { Question } from '../../data/survey.ts';

/** Options from the eighth on share the last slot of the one-hot code. */
const ONE_HOT_SLOTS = 8;

/** Number of structural columns. */
export const STRUCTURE_WIDTH = ONE_HOT_SLOTS + 8;

const NON_ANSWER =
  /^(dk\b|(i )?don['’]?t know(?! any)|do not know|refus|no (answer|opinion)|(other )?missing|unsure|not sure|hard to say|inap|not applicable|(can['’]?t|cannot) (say|rate|choose)|prefer not)/i;

/** Whether an option means "no answer was given": don't know, refused, not applicable. */
export function isNonAnswer(option: string): boolean {
  return NON_ANSWER.test(option.trim());
}

/** Place on a scale of `count` steps, in [0, 1]; 0 where there is one step only. */
function scalePosition(index: number, count: number): number {
  return count > 1 ? index / (count - 1) : 0;
}

/**
 * What the form of a question says about each of its options, shape [options][STRUCTURE_WIDTH]:
 * index one-hot (8), index / (n - 1), n / 10, 1 / n, is a non-answer, position among the substantive options (-1 for
 * a non-answer), is the last substantive option, the question has a non-answer, n > 8.
 */
export function structureOf({ options }: Question): number[][] {
  const nonAnswer = options.map(isNonAnswer);
  const substantive = [...options.keys()].filter((index) => !nonAnswer[index]);
  const count = options.length;
  return options.map((_, index) => {
    const place = substantive.indexOf(index);
    const oneHot = Array.from({ length: ONE_HOT_SLOTS }, (_, slot) =>
      Number(slot === Math.min(index, ONE_HOT_SLOTS - 1)),
    );
    return [
      ...oneHot,
      scalePosition(index, count),
      count / 10,
      1 / count,
      Number(nonAnswer[index]),
      place < 0 ? -1 : scalePosition(place, substantive.length),
      Number(place >= 0 && place === substantive.length - 1),
      Number(substantive.length < count),
      Number(count > 8),
    ];
  });
}
