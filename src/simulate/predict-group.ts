import { workerSetup } from '../config/worker-setup.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { isFile } from '../core/files.ts';
import { isGroupFile, readGroupFile } from '../data/group-file.ts';
import { groupIndex } from '../data/group-index.ts';
import { importSurvey } from '../data/import.ts';
import { questionNamed } from '../data/question-named.ts';
import type { Answer, Group, Question, Survey } from '../data/survey.ts';
import { translateAnswers } from '../data/translate.ts';
import { chooseContext } from '../evaluate/contexts.ts';
import { shareData } from '../training/shared-data.ts';
import { Trainer } from '../training/trainer.ts';
import type { TrainedRun } from './trained-run.ts';

/** Whose opinions to predict, from which answers. */
export interface GroupContext {
  readonly group: Group;
  /** The group's known answers; questions are indices into the run's survey. */
  readonly answers: readonly Answer[];
}

/** The predicted answer to one question. */
export interface PredictedAnswer {
  readonly question: Question;
  /** Share of each option, in the order of the question's options. */
  readonly probabilities: readonly number[];
}

/**
 * A group of the run's own survey; its context is the first one that evaluation draws. Questions in `asked` are
 * never told: a prediction must not see its own answer.
 */
export function contextFromSurvey(
  { experiment }: TrainedRun,
  groupId: string,
  asked: readonly string[],
): GroupContext {
  const { survey, config, heldOutQuestions } = experiment;
  const index = groupIndex(survey.groups, groupId);
  const hidden = new Set([...heldOutQuestions, ...asked.map((id) => questionNamed(survey, id))]);
  const answers = survey.answers[index]!.filter(({ question }) => !hidden.has(question));
  const group = survey.groups[index]!;
  if (answers.length < 2) return { group, answers };
  const context = chooseContext({
    seed: config.seed,
    groupId,
    draw: 0,
    answered: answers.map(({ question }) => question),
    count: Math.min(config.evaluation.contextQuestions, answers.length - 1),
  });
  return {
    group,
    answers: answers.filter(({ question }) => context.includes(question)),
  };
}

/**
 * One group's answers from its own file, or from any file that `dataset import` reads. Questions in `asked` are
 * never told. Errors: DATA_FORMAT, DATA_OPTION_COUNT, USAGE, and those of the import.
 */
export async function contextFromFile(
  { experiment }: TrainedRun,
  path: string,
  groupId: string | undefined,
  asked: readonly string[],
): Promise<GroupContext> {
  const own =
    isFile(path) && isGroupFile(path)
      ? readGroupFile(path)
      : (await importSurvey({ format: 'auto', path })).survey;
  if (groupId === undefined && own.groups.length > 1) {
    throw new PluralError('USAGE', `${path} holds ${own.groups.length} groups`, {
      hint: `Say which one with --group: ${own.groups.map(({ id }) => id).join(', ')}`,
    });
  }
  const index = groupId === undefined ? 0 : groupIndex(own.groups, groupId);
  const hidden = new Set(asked.map((id) => questionNamed(experiment.survey, id)));
  const answers = translateAnswers(own, index, experiment.survey.questions, path).filter(
    ({ question }) => !hidden.has(question),
  );
  return { group: own.groups[index]!, answers };
}

/** Which questions to predict: the named ones, or all that the group has not told. */
function targetsOf(survey: Survey, context: GroupContext, ids: readonly string[]): number[] {
  const told = new Set(context.answers.map(({ question }) => question));
  if (ids.length === 0) return [...survey.questions.keys()].filter((question) => !told.has(question));
  return [...new Set(ids.map((id) => questionNamed(survey, id)))];
}

/** Predicts how a group answers questions, from its answers to others. `ids` empty: all that are not told. */
export async function predictGroup(
  { experiment, model }: TrainedRun,
  context: GroupContext,
  ids: readonly string[],
): Promise<PredictedAnswer[]> {
  const { survey, features } = experiment;
  const target = targetsOf(survey, context, ids);
  if (context.answers.length === 0) {
    throw new PluralError(
      'DATA_CONTEXT_TOO_LARGE',
      `group "${context.group.id}" has no answer left to tell`,
      {
        hint: 'The answers to the questions you ask for are never told: ask for fewer, or give more answers.',
      },
    );
  }
  if (target.length === 0) {
    throw new PluralError(
      'USAGE',
      `group "${context.group.id}" told every question: nothing is left to predict`,
      {
        hint: 'Name the questions to predict with --question; their answers are then not told.',
      },
    );
  }
  // The group may not be one of the survey: a survey of this one group alone is what the trainer sees.
  const own = { ...survey, groups: [context.group], answers: [context.answers] };
  const trainer = new Trainer({
    ...workerSetup(experiment.config, experiment),
    data: shareData(own, features),
  });
  const { probabilities: predicted } = await trainer.predict({
    kind: 'predict',
    parameters: model.parameters,
    asked: [{ group: 0, context: context.answers.map(({ question }) => question), target }],
  });
  const [probabilities] = predicted;
  invariant(probabilities !== undefined, 'an answer for what was asked');
  let position = 0;
  return target.map((index) => {
    const question = survey.questions[index]!;
    const start = position;
    position += question.options.length;
    return { question, probabilities: Array.from(probabilities.subarray(start, position)) };
  });
}
