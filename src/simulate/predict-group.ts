import { statSync } from 'node:fs';
import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import { isGroupFile, readGroupFile } from '../data/group-file.ts';
import { groupIndex } from '../data/group-index.ts';
import { importSurvey } from '../data/import.ts';
import type { Answer, Group, Question, Survey } from '../data/survey.ts';
import { chooseContext } from '../evaluate/contexts.ts';
import { shareData } from '../training/shared-data.ts';
import { Trainer } from '../training/trainer.ts';
import { workerSetup } from './experiment.ts';
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

/** A group of the run's own survey; its context is the first one that evaluation draws. */
export function contextFromSurvey({ experiment }: TrainedRun, groupId: string): GroupContext {
  const { survey, config, heldOutQuestions } = experiment;
  const index = groupIndex(survey.groups, groupId);
  const answers = survey.answers[index]!;
  const answered = answers.map(({ question }) => question).filter((q) => !heldOutQuestions.includes(q));
  const context = chooseContext({
    seed: config.seed,
    groupId,
    draw: 0,
    answered,
    count: config.evaluation.contextQuestions,
  });
  return {
    group: survey.groups[index]!,
    answers: answers.filter(({ question }) => context.includes(question)),
  };
}

/** Questions of the run's survey, found by id; DATA_FORMAT where the file asks something else. */
function questionIndex(survey: Survey, question: Question, path: string): number {
  const index = survey.questions.findIndex(({ id }) => id === question.id);
  const known = survey.questions[index];
  if (known === undefined) {
    throw new PluralError('DATA_FORMAT', `${path}: the model's survey has no question "${question.id}"`, {
      hint: suggestion(
        question.id,
        survey.questions.map(({ id }) => id),
      ),
    });
  }
  if (known.options.length !== question.options.length) {
    throw new PluralError(
      'DATA_OPTION_COUNT',
      `${path}: question "${question.id}" has ${question.options.length} options, the survey has ${known.options.length}`,
      { hint: `Its options are: ${known.options.join(' | ')}` },
    );
  }
  return index;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** One group's answers from its own file, or from any file that `dataset import` reads. */
export async function contextFromFile(
  { experiment }: TrainedRun,
  path: string,
  groupId: string | undefined,
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
  const answers = own.answers[index]!.map((answer) => ({
    ...answer,
    question: questionIndex(experiment.survey, own.questions[answer.question]!, path),
  }));
  answers.sort((a, b) => a.question - b.question);
  return { group: own.groups[index]!, answers };
}

/** Which questions to predict: the named ones, or all that the group has not told. */
function targetsOf(survey: Survey, context: GroupContext, ids: readonly string[]): number[] {
  const told = new Set(context.answers.map(({ question }) => question));
  if (ids.length === 0) return [...survey.questions.keys()].filter((question) => !told.has(question));
  return ids.map((id) => {
    const index = survey.questions.findIndex((question) => question.id === id);
    if (index >= 0) return index;
    const known = survey.questions.map((question) => question.id);
    throw new PluralError('USAGE', `there is no question "${id}"`, { hint: suggestion(id, known) });
  });
}

/** Predicts how a group answers questions, from its answers to others. `ids` empty: all that are not told. */
export async function predictGroup(
  { experiment, model }: TrainedRun,
  context: GroupContext,
  ids: readonly string[],
): Promise<PredictedAnswer[]> {
  const { survey, features } = experiment;
  const target = targetsOf(survey, context, ids);
  // The group may not be one of the survey: a survey of this one group alone is what the trainer sees.
  const own = { ...survey, groups: [context.group], answers: [context.answers] };
  const trainer = new Trainer({ ...workerSetup(experiment), data: shareData(own, features) });
  const { probabilities } = await trainer.predict({
    kind: 'predict',
    parameters: model.parameters,
    group: 0,
    context: context.answers.map(({ question }) => question),
    target,
  });
  let position = 0;
  return target.map((index) => {
    const question = survey.questions[index]!;
    const start = position;
    position += question.options.length;
    return { question, probabilities: Array.from(probabilities.subarray(start, position)) };
  });
}
