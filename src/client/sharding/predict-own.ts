import { mostTold } from '../../config/sharded-run.ts';
import { float32From } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { questionNamed } from '../../data/question-named.ts';
import type { Question } from '../../data/survey.ts';
import { chooseContext } from '../../evaluate/contexts.ts';
import type { GroupHome } from '../home.ts';
import { type LocalOptions, type Prepared, prepare } from '../local-setup.ts';
import { KeeperTrainer } from './keeper-trainer.ts';
import type { ShardedMeans } from './means.ts';

/** The predicted answer of a group to one question. */
export interface OwnPrediction {
  readonly question: Question;
  /** Share of each option, in the order of the question's options. */
  readonly probabilities: readonly number[];
}

/** What is told of the group and what is predicted: a question that is asked for is never told. */
function taskOf({ survey, config }: Prepared, asked: readonly string[]) {
  const wanted = new Set(asked.map((id) => questionNamed(survey, id)));
  const all = survey.answers[0]!.map(({ question }) => question);
  const answered = all.filter((question) => !wanted.has(question));
  const targets =
    wanted.size > 0 ? [...wanted] : [...survey.questions.keys()].filter((index) => !all.includes(index));
  if (targets.length === 0 || answered.length === 0) {
    throw new PluralError(
      'DATA_CONTEXT_TOO_LARGE',
      'nothing is left to predict, or nothing to predict it from',
      {
        hint: 'Name the questions to predict with --question; their answers are then not told.',
      },
    );
  }
  // More than keepers were told to take they refuse.
  const count = Math.min(mostTold(config), answered.length);
  const context =
    count === answered.length
      ? answered
      : chooseContext({ seed: config.seed, groupId: survey.groups[0]!.id, draw: 0, answered, count });
  return { context, targets };
}

/** Front and head that the folder has. Errors: FOLDER_NOT_READY. */
function storedModel(home: GroupHome): Float32Array {
  const bytes = home.loadModel();
  const { head } = home.loadRecord();
  if (bytes !== null && head !== null && sha256(bytes) === head.model) return float32From(bytes);
  throw new PluralError('FOLDER_NOT_READY', `${home.folder} has no model yet`, {
    hint: `Take part in the run first: pluralllm group watch ${home.folder}`,
  });
}

/**
 * What a group of a sharded run would answer to questions: those of `asked`, or all that it has not answered. Front and head are the newest that its folder has, the stages are
 * with their keepers, who count what they are asked. Errors: FOLDER_NOT_READY, USAGE, CONFIG_CONFLICT for a run without keepers, DATA_CONTEXT_TOO_LARGE, AGGREGATOR_UNREACHABLE where no keeper answers.
 */
export async function predictOwn(
  home: GroupHome,
  local: LocalOptions,
  means: ShardedMeans,
  asked: readonly string[],
): Promise<OwnPrediction[]> {
  const prepared = await prepare(local);
  const model = storedModel(home);
  const { context, targets } = taskOf(prepared, asked);
  const trainer = new KeeperTrainer(prepared, local, means);
  try {
    const shares = await trainer.predicting(model, (predict) => predict({ group: 0, context, targets }));
    if (shares === null) {
      throw new PluralError('AGGREGATOR_UNREACHABLE', 'the keepers of the run do not answer', {
        hint: 'They may be away, or have made as many predictions as they make between two rounds. Try again later.',
      });
    }
    return targets.map((index, at) => ({
      question: prepared.survey.questions[index]!,
      probabilities: Array.from(shares[at]!),
    }));
  } finally {
    await trainer.close();
  }
}
