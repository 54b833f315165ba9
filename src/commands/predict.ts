import { PluralError } from '../core/errors.ts';
import {
  contextFromFile,
  contextFromSurvey,
  type PredictedAnswer,
  predictGroup,
} from '../simulate/predict-group.ts';
import { openTrainedRun } from '../simulate/trained-run.ts';
import { defineCommand } from './command.ts';
import { predictSharded } from './predict-sharded.ts';
import { showProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

function showAnswer({ question, probabilities }: PredictedAnswer): string {
  const lines = question.options.map((option, index) => {
    const share = probabilities[index]!;
    return `  ${(100 * share).toFixed(1).padStart(5)}%  ${'#'.repeat(Math.round(20 * share)).padEnd(20)}  ${option}`;
  });
  return [`${question.id}  ${question.text}`, ...lines].join('\n');
}

function show(predicted: readonly PredictedAnswer[], terminal: Terminal): void {
  for (const { question, probabilities } of predicted) {
    terminal.event({
      type: 'prediction',
      question: question.id,
      text: question.text,
      options: question.options,
      probabilities,
    });
  }
  terminal.print(predicted.map(showAnswer).join('\n\n'));
}

export const predictCommand = defineCommand({
  usage: 'predict <run>',
  describe: 'predict how a group answers, from a few of its answers',
  lists: ['question'],
  options: (parser) =>
    parser
      .positional('run', {
        type: 'string',
        demandOption: true,
        describe: "run folder; with --sharded the group's folder",
      })
      .option('answers', {
        type: 'string',
        describe: "file with the group's answers (long-format CSV, Parquet, Arrow, group file)",
      })
      .option('group', { type: 'string', describe: "a group of the file, or of the run's own survey" })
      .option('question', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'ids of questions to predict (default: all that are not told)',
      })
      .option('sharded', {
        type: 'boolean',
        default: false,
        describe:
          "the folder is a group's, and the model is with the keepers of its run: predict this group through them",
      })
      .example('$0 predict runs/quickstart --answers mine.csv', 'a group of your own')
      .example(
        '$0 predict runs/quickstart --group democrat-white-65+ --question Q20',
        'a group of the survey',
      ),
  run: async (flags, terminal) => {
    if (flags.sharded) {
      if (flags.answers !== undefined || flags.group !== undefined) {
        throw new PluralError(
          'USAGE',
          "--sharded predicts the folder's own group: it goes with neither --answers nor --group",
          {
            hint: 'Example: pluralllm predict mine --sharded --question Q20',
          },
        );
      }
      show(await predictSharded(flags.run, flags.question, terminal), terminal);
      return;
    }
    if (flags.answers === undefined && flags.group === undefined) {
      throw new PluralError('USAGE', 'whose answers? Give --answers FILE or --group NAME', {
        hint: '--answers takes a file of a group of your own, --group a group of the survey.',
      });
    }
    // Predicting needs no device that only training had.
    const run = await openTrainedRun(flags.run, ['runtime.device=auto'], showProgress(terminal));
    const context =
      flags.answers === undefined
        ? contextFromSurvey(run, flags.group!, flags.question)
        : await contextFromFile(run, flags.answers, flags.group, flags.question);
    terminal.note(`${context.group.label}: told ${context.answers.length} answers`);
    show(await predictGroup(run, context, flags.question), terminal);
  },
});
