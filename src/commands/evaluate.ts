import { SPLITS } from '../evaluate/evaluation.ts';
import { textTable } from '../report/table.ts';
import { evaluateRun, openTrainedRun } from '../simulate/trained-run.ts';
import { defineCommand } from './command.ts';
import { showProgress } from './progress.ts';

const figure = (value: number | undefined) => (value === undefined ? '' : value.toFixed(3));

export const evaluateCommand = defineCommand({
  usage: 'evaluate <run> [overrides..]',
  describe: 'score the model of a run again, with other settings or on other data',
  lists: ['overrides'],
  options: (parser) =>
    parser
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'settings that replace the frozen ones, as key.path=value',
      })
      .example('$0 evaluate runs/quickstart evaluation.contextQuestions=5', 'with fewer context questions'),
  run: async (flags, terminal) => {
    const emit = showProgress(terminal);
    const run = await openTrainedRun(flags.run, flags.overrides, emit);
    const { evaluation } = await evaluateRun(run, emit);
    terminal.event({ type: 'result', rounds: run.rounds, modelDigest: run.model.digest, ...evaluation });
    const text = (title: string) => ({ title, align: 'left' as const });
    const numbers = (title: string) => ({ title, align: 'right' as const });
    const summary = SPLITS.flatMap((split) => {
      const s = evaluation.summaries[split];
      if (s === undefined) return [];
      return [
        [
          split,
          ...[s.mean, s.worst, s.coefficientOfVariation, s.fairnessIndex, s.questionFairness].map(figure),
          s.calibrationError === undefined ? '' : figure(s.calibrationError),
        ],
      ];
    });
    const perGroup = evaluation.scores.map(({ group, split, alignment, questions }) => [
      group,
      split,
      figure(alignment),
      String(questions),
    ]);
    const columns = ['mean', 'worst', 'CoV', 'fairness', 'question fairness', 'ECE'].map(numbers);
    terminal.print(textTable([text('split'), ...columns], summary));
    terminal.print('');
    const groupColumns = [text('group'), text('split'), numbers('alignment'), numbers('questions')];
    terminal.print(textTable(groupColumns, perGroup));
    terminal.note(`Model after ${run.rounds.done} of ${run.rounds.all} rounds.`);
  },
});
