import { PluralError } from '../core/errors.ts';
import { type DraftAnswer, type DraftQuestion, placeOf, type SurveyDraft, type Where } from './draft.ts';
import type { Group } from './survey.ts';
import type { WarningTally } from './warning.ts';

/** Errors: DATA_FORMAT for an empty id, DATA_DUPLICATE. */
export function checkGroups(groups: readonly Group[], name: string): void {
  const seen = new Set<string>();
  for (const { id } of groups) {
    if (id.trim() === '')
      throw new PluralError('DATA_FORMAT', `survey "${name}" has a group with an empty id`);
    if (seen.has(id))
      throw new PluralError('DATA_DUPLICATE', `survey "${name}" has two groups with the id "${id}"`);
    seen.add(id);
  }
}

function checkOptions({ id, options, where }: DraftQuestion): void {
  const place = placeOf(where);
  if (options.length < 2) {
    throw new PluralError(
      'DATA_OPTION_COUNT',
      `${place}: question "${id}" has ${options.length} option(s), at least 2 are needed`,
      {
        hint: 'A question with one option says nothing about preferences: remove it, or add the missing options.',
      },
    );
  }
  const blank = options.findIndex((option) => option.trim() === '');
  if (blank !== -1)
    throw new PluralError('DATA_FORMAT', `${place}: option ${blank + 1} of question "${id}" has no text`);
  const repeated = options.find((option, index) => options.indexOf(option) !== index);
  if (repeated !== undefined) {
    throw new PluralError('DATA_DUPLICATE', `${place}: question "${id}" offers "${repeated}" twice`);
  }
}

/** Splits the questions into usable ones and the ids of those without text. Errors: DATA_OPTION_COUNT, DATA_FORMAT, DATA_DUPLICATE. */
export function screenQuestions(
  draft: SurveyDraft,
  tally: WarningTally,
): { asked: DraftQuestion[]; textless: Set<string> } {
  const asked: DraftQuestion[] = [];
  const textless = new Set<string>();
  const places = new Map<string, string>();
  for (const question of draft.questions) {
    const { id, text, where } = question;
    const place = placeOf(where);
    if (id.trim() === '') throw new PluralError('DATA_FORMAT', `${place}: a question has an empty id`);
    const before = places.get(id);
    if (before !== undefined)
      throw new PluralError('DATA_DUPLICATE', `${place}: question "${id}" is there already (${before})`);
    places.set(id, place);
    if (text.trim() === '') {
      textless.add(id);
      tally.note('question-without-text', place);
    } else {
      checkOptions(question);
      asked.push(question);
    }
  }
  return { asked, textless };
}

/** The error of a weight or count that is not a finite number of at least 0. */
export function badWeight(where: Where, what: string, value: unknown): PluralError {
  return new PluralError('DATA_BAD_WEIGHT', `${placeOf(where)}: ${what} is ${String(value)}`, {
    hint: 'Weights, shares and counts must be finite numbers of at least 0.',
  });
}

/** Errors: DATA_OPTION_COUNT, DATA_BAD_WEIGHT. */
export function checkWeights(
  { question, group, weights, respondents, where }: DraftAnswer,
  options: number,
): void {
  if (weights.length !== options) {
    const message = `${placeOf(where)}: ${weights.length} weight(s) of group "${group}" for question "${question}", which has ${options} options`;
    throw new PluralError('DATA_OPTION_COUNT', message, {
      hint: 'Give one weight per option, in the order of the options.',
    });
  }
  for (let option = 0; option < options; option++) {
    const weight = weights[option];
    if (weight === undefined || !Number.isFinite(weight) || weight < 0) {
      throw badWeight(where, `weight ${option + 1} of group "${group}" for question "${question}"`, weight);
    }
  }
  if (respondents !== undefined && !(Number.isFinite(respondents) && respondents >= 0)) {
    throw badWeight(
      where,
      `the number of respondents of group "${group}" for question "${question}"`,
      respondents,
    );
  }
}
