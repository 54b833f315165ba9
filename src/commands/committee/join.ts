import { defineCommand } from '../command.ts';
import { entering, enterRun } from '../group/enter.ts';
import { MEMBER_FOLDER } from '../group/folder.ts';

export const joinCommand = defineCommand({
  usage: 'join <folder> <invitation>',
  describe:
    "take a member into a run whose configuration names it, with the invitation of the run's aggregator",
  options: (parser) =>
    entering(parser, MEMBER_FOLDER)
      .option('name', {
        type: 'string',
        describe: "the member's name in protection.committee.members (default: that of the invitation)",
      })
      .example('$0 committee join notary pluralllm-invitation-1.eyJ1... --name notary', ''),
  run: async (flags, terminal) => {
    // It tells nothing of anybody, so there is no budget to spend.
    const free = {
      features: undefined,
      keepers: undefined,
      withoutNoise: true,
      acceptCommittee: true,
      onProtection: () => undefined,
    };
    const { run, group } = await enterRun({ ...flags, ...free }, terminal);
    terminal.print(`"${group}" keeps shares of the keys of run "${run}", and helps to open its sums.`);
    terminal.print(`Next: pluralllm committee serve ${flags.folder}`);
  },
});
