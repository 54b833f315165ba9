import type { Custody, Protection } from '../../privacy/protection.ts';
import { defineCommand } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { entering, enterRun } from './enter.ts';

/** Who could change that. */
function unless(custody: Custody | null): string {
  if (custody === null) return '';
  const { members, threshold } = custody;
  return `, unless ${threshold} of "${members.join('", "')}" help it`;
}

/** What becomes of what the group sends. */
function seenOf({ reveals, custody, sealedSums }: Protection): string {
  if (sealedSums !== null) {
    return `The aggregator sees no update, no sum and no model${unless(custody)}: who has the readers' key reads the models.`;
  }
  return reveals === 'sum'
    ? `The aggregator sees nothing but the sum of the updates of a round${unless(custody)}.`
    : 'The aggregator sees every update in clear.';
}

/** What a group should know before its first round. */
function tellProtection(terminal: Terminal, protection: Protection): void {
  terminal.print(seenOf(protection));
  const { guarantee } = protection;
  if (guarantee === null) return;
  const { epsilons, delta } = guarantee;
  terminal.print(
    `All rounds together spend epsilon ${epsilons.at(-1)!.toPrecision(3)} at delta ${delta} of its privacy; "group budget" says what is left.`,
  );
}

export const joinCommand = defineCommand({
  usage: 'join <folder> <invitation>',
  describe: "take a group into a run, with the invitation of the run's aggregator",
  options: (parser) =>
    entering(parser)
      .option('group', {
        type: 'string',
        describe: "the group's name in the run (default: that of its answers)",
      })
      .option('features', {
        type: 'string',
        describe: 'file of feature vectors, where the run takes them from a file',
      })
      .option('keepers', {
        type: 'string',
        describe:
          'file with the public keys of all keepers of a sharded run, one a line; no others are accepted',
      })
      .option('without-noise', {
        type: 'boolean',
        default: false,
        describe: 'join a run without noise although the group has a privacy budget ("group budget")',
      })
      .option('accept-committee', {
        type: 'boolean',
        default: false,
        describe: 'join a run whose configuration names who opens the sums, and so could read updates',
      })
      .example('$0 group join mine pluralllm-invitation-1.eyJ1...', ''),
  run: async (flags, terminal) => {
    const onProtection = (protection: Protection) => tellProtection(terminal, protection);
    const { run, group } = await enterRun({ ...flags, name: flags.group, onProtection }, terminal);
    terminal.print(`Group "${group}" takes part in run "${run}".`);
    terminal.print(`Next: pluralllm group watch ${flags.folder}   (all rounds)`);
    terminal.print(`  or: pluralllm group round ${flags.folder}   (one round)`);
  },
});
