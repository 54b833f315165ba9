import { formatBytes } from '../../core/bytes.ts';
import { textTable } from '../../report/table.ts';
import type { RunStatus } from '../../wire/http.ts';
import { defineCommand } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { reach, withAggregator } from './reach.ts';

const left = (title: string) => ({ title, align: 'left' as const });
const right = (title: string) => ({ title, align: 'right' as const });
/** Awaited groups that are shown one by one. */
const MOST_AWAITED = 20;

function roundsTable({ history, scores }: RunStatus): string {
  const columns = [
    right('round'),
    right('updates'),
    right('uploaded'),
    right('alignment'),
    right('worst'),
    right('fairness'),
    left('model'),
  ];
  const rows = history.map(({ round, updates, uploadedBytes, model }) => {
    const score = scores.find((candidate) => candidate.round === round);
    return [
      String(round),
      String(updates),
      formatBytes(uploadedBytes),
      score?.mean.toFixed(3) ?? '',
      score?.worst?.toFixed(3) ?? '',
      score?.fairnessIndex.toFixed(3) ?? '',
      model.slice(0, 12),
    ];
  });
  return textTable(columns, rows);
}

function showRun(terminal: Terminal, status: RunStatus): void {
  const { run, summary, awaited, deadlineAt, errors } = status;
  terminal.event({ type: 'status', ...status });
  terminal.print(`${run}: ${summary}`);
  if (deadlineAt !== null) terminal.print(`Deadline: ${new Date(deadlineAt).toISOString()}`);
  for (const { group, why } of awaited.slice(0, MOST_AWAITED)) terminal.print(`  awaited: ${group}, ${why}`);
  if (awaited.length > MOST_AWAITED) terminal.print(`  and ${awaited.length - MOST_AWAITED} more`);
  for (const { publicKey, stage, keeps, lastSeenAt } of status.keepers) {
    const seen = lastSeenAt === null ? 'not seen yet' : `last seen ${new Date(lastSeenAt).toISOString()}`;
    terminal.print(`  stage ${stage} ${keeps ? 'is kept' : 'is stood by for'} by ${publicKey}, ${seen}`);
  }
  terminal.print(`\n${roundsTable(status)}`);
  if (status.holds === 'ciphertext') {
    terminal.print(
      '\nThe aggregator holds ciphertext only: it has no model to export and knows no score; each group has the models in its folder.',
    );
  }
  const [newest] = errors;
  if (newest !== undefined) terminal.print(`\nLast refusal: ${newest.code}: ${newest.message}`);
}

export const statusCommand = defineCommand({
  usage: 'status <aggregator> [run]',
  describe: 'show the runs of an aggregator, or one run: who is awaited and why, and its rounds',
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', describe: 'name of a run' })
      .example('$0 aggregator status agg quickstart', ''),
  run: async (flags, terminal) => {
    await reach(flags, async ({ api }) => {
      if (flags.run !== undefined) return showRun(terminal, await api.status(flags.run));
      const runs = await api.runs();
      for (const run of runs) terminal.event({ type: 'run', ...run });
      const columns = [left('run'), left('phase'), right('round'), right('groups'), right('quorum')];
      const rows = runs.map(({ run, phase, round, rounds, groups, quorum }) => [
        run,
        phase,
        `${round}/${rounds}`,
        String(groups),
        String(quorum),
      ]);
      terminal.print(textTable(columns, rows));
    });
  },
});
