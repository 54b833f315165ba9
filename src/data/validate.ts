import { asStage } from '../core/brand.ts';
import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import { badWeight, checkGroups, checkWeights, screenQuestions } from './check-draft.ts';
import { type DraftAnswer, type DraftQuestion, placeOf, type SurveyDraft } from './draft.ts';
import { normalised } from './normalise.ts';
import type { Answer, Group, Question, Survey } from './survey.ts';
import { type Warning, type WarningTally, warningTally } from './warning.ts';

/** A survey that may be relied on, and what was repaired or left out to make it so. */
export interface ValidatedSurvey {
  readonly survey: Survey;
  readonly warnings: readonly Warning[];
}

interface Screened {
  readonly draft: SurveyDraft;
  readonly asked: readonly DraftQuestion[];
  readonly textless: ReadonlySet<string>;
  readonly tally: WarningTally;
}

/** Per group, its answers by index into `asked`. */
function collectAnswers({ draft, asked, textless, tally }: Screened): Map<string, Map<number, Answer>> {
  const questionIndex = new Map(asked.map(({ id }, index) => [id, index]));
  const byGroup = new Map(draft.groups.map(({ id }) => [id, new Map<number, Answer>()]));
  const seen = new Map<string, Set<string>>();
  for (const draftAnswer of draft.answers) {
    const { question: id, group, weights, respondents, where } = draftAnswer;
    const answers = byGroup.get(group);
    if (answers === undefined) throw unknownGroup(draftAnswer, draft.groups);
    claimPair(seen, draftAnswer);
    if (textless.has(id)) continue;
    const question = questionIndex.get(id);
    if (question === undefined)
      throw new PluralError('DATA_FORMAT', `${placeOf(where)}: there is no question "${id}"`);
    checkWeights(draftAnswer, asked[question]!.options.length);
    const { distribution, fault } = normalised(weights, draft.weights);
    const place = `${placeOf(where)} (group "${group}", question "${id}")`;
    if (fault === 'overflow') throw badWeight(where, `the sum of the weights for question "${id}"`, Infinity);
    if (fault === 'zero') tally.note('answer-all-zero', place);
    if (fault === 'sum') tally.note('shares-renormalised', place);
    if (distribution === undefined) continue;
    answers.set(question, { question, distribution, ...(respondents === undefined ? {} : { respondents }) });
  }
  return byGroup;
}

function unknownGroup({ group, where }: DraftAnswer, groups: readonly Group[]): PluralError {
  const known = groups.map(({ id }) => id);
  return new PluralError('DATA_UNKNOWN_GROUP', `${placeOf(where)}: there is no group "${group}"`, {
    hint: suggestion(group, known),
  });
}

function claimPair(seen: Map<string, Set<string>>, { question, group, where }: DraftAnswer): void {
  const questions = seen.get(group) ?? new Set<string>();
  if (questions.has(question)) {
    const message = `${placeOf(where)}: group "${group}" answers question "${question}" a second time`;
    throw new PluralError('DATA_DUPLICATE', message, { hint: 'Keep one row per question and group.' });
  }
  questions.add(question);
  seen.set(group, questions);
}

function checkNoEmptyGroup(
  draft: SurveyDraft,
  byGroup: ReadonlyMap<string, ReadonlyMap<number, Answer>>,
): void {
  const empty = draft.groups.filter(({ id }) => byGroup.get(id)?.size === 0).map(({ id }) => id);
  if (draft.groups.length === 0) throw new PluralError('DATA_FORMAT', `survey "${draft.name}" has no groups`);
  if (empty.length === 0) return;
  const message = `survey "${draft.name}": ${empty.length} group(s) without a usable answer: ${empty.slice(0, 5).join(', ')}`;
  throw new PluralError('DATA_EMPTY_GROUP', message, {
    hint: 'Remove the group, or check why its rows were dropped.',
  });
}

function questionOf({ id, text, options, topic }: DraftQuestion): Question {
  return { id, text, options: [...options], ...(topic === undefined ? {} : { topic }) };
}

/**
 * Checks a draft and makes the Survey: the only function that does.
 *
 * Repaired with a warning: questions without text or without answers, all-zero pairs, shares off 1 by more than rounding.
 * Errors, with file, row and column: DATA_FORMAT, DATA_OPTION_COUNT, DATA_BAD_WEIGHT, DATA_DUPLICATE, DATA_UNKNOWN_GROUP,
 * DATA_EMPTY_GROUP.
 */
export function validateSurvey(draft: SurveyDraft): ValidatedSurvey {
  if (draft.name.trim() === '') throw new PluralError('DATA_FORMAT', 'a survey needs a name');
  checkGroups(draft.groups, draft.name);
  const tally = warningTally();
  const { asked, textless } = screenQuestions(draft, tally);
  const byGroup = collectAnswers({ draft, asked, textless, tally });
  checkNoEmptyGroup(draft, byGroup);

  const answered = new Set([...byGroup.values()].flatMap((answers) => [...answers.keys()]));
  const kept: Question[] = [];
  const newIndex = new Map<number, number>();
  for (const [index, question] of asked.entries()) {
    if (answered.has(index)) newIndex.set(index, kept.push(questionOf(question)) - 1);
    else tally.note('question-without-answers', `${placeOf(question.where)} ("${question.id}")`);
  }
  const answers = draft.groups.map(({ id }) =>
    [...byGroup.get(id)!.values()]
      .map((answer) => ({ ...answer, question: newIndex.get(answer.question)! }))
      .sort((a, b) => a.question - b.question),
  );
  const survey: Survey = asStage({
    name: draft.name,
    questions: kept,
    groups: draft.groups.map(({ id, label }) => ({ id, label })),
    answers,
    provenance: draft.provenance,
  });
  return { survey, warnings: tally.list() };
}
