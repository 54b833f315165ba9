import { GroupHome } from '../../client/home.ts';
import { PluralError } from '../../core/errors.ts';
import { openLedger, spentEpsilon } from '../../privacy/differential/ledger.ts';
import type { Budget } from '../../privacy/differential/ledger-schema.ts';
import { defineCommand } from '../command.ts';
import { withFolder } from './folder.ts';

/** The budget that is asked for; null where none is. Errors: USAGE. */
function askedFor({
  epsilon,
  delta,
}: {
  epsilon: number | undefined;
  delta: number | undefined;
}): Budget | null {
  if (epsilon === undefined && delta === undefined) return null;
  const valid = epsilon !== undefined && delta !== undefined && epsilon > 0 && delta > 0 && delta < 1;
  if (valid && Number.isFinite(epsilon)) return { epsilon, delta };
  throw new PluralError('USAGE', 'a budget takes both, --epsilon above 0 and --delta between 0 and 1', {
    hint: 'For example: --epsilon 8 --delta 1e-5',
  });
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

export const budgetCommand = defineCommand({
  usage: 'budget <folder>',
  describe: 'show what a group has spent of its privacy budget, or set the budget',
  options: (parser) =>
    withFolder(parser)
      .option('epsilon', {
        type: 'number',
        describe:
          'what the group is willing to spend in all runs with noise together; others are not counted',
      })
      .option('delta', {
        type: 'number',
        describe: 'about the probability that epsilon does not hold, for example 1e-5',
      })
      .example('$0 group budget mine', '')
      .example('$0 group budget mine --epsilon 8 --delta 1e-5', ''),
  run: async (flags, terminal) => {
    const home = new GroupHome(flags.folder);
    const budget = askedFor(flags);
    const release = home.lock();
    try {
      const kept = home.loadLedger();
      const ledger = budget === null ? kept : { ...(kept ?? openLedger(budget)), budget };
      if (budget !== null && ledger !== null) home.saveLedger(ledger);
      if (ledger === null) {
        terminal.event({ type: 'budget', budget: null, spent: 0, rounds: 0 });
        terminal.print(
          'No budget is set, and nothing was spent. The first run with noise sets it to what its plan spends.',
        );
        return;
      }
      const rounds = ledger.runs
        .flatMap(({ spans }) => spans)
        .reduce((sum, { first, last }) => sum + last - first + 1, 0);
      const spent = spentEpsilon(ledger);
      terminal.event({ type: 'budget', budget: ledger.budget, spent, rounds });
      const { epsilon, delta } = ledger.budget;
      terminal.print(
        `Spent: epsilon ${spent.toPrecision(4)} of ${Number(epsilon.toPrecision(6))} at delta ${delta}, for ${counted(rounds, 'update')} in ${counted(ledger.runs.length, 'run')}.`,
      );
      if (spent < epsilon) return;
      terminal.print('Nothing is left: the group takes part in no further round with noise.');
    } finally {
      release();
    }
  },
});
