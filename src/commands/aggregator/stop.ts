import { defineCommand } from '../command.ts';
import { reach, withAggregator } from './reach.ts';

export const stopCommand = defineCommand({
  usage: 'stop <aggregator> <run>',
  describe: 'end a run for good; its last model stays',
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', demandOption: true, describe: 'name of the run' })
      .example('$0 aggregator stop agg quickstart', ''),
  run: async (flags, terminal) => {
    await reach(flags, async ({ api }) => {
      await api.stop(flags.run);
      const { phase, summary } = await api.status(flags.run);
      terminal.event({ type: 'stopped', run: flags.run, phase });
      terminal.print(summary);
    });
  },
});

export const revokeCommand = defineCommand({
  usage: 'revoke <aggregator> <run> <group>',
  describe: "take a group's key away; what it sent before stays in the models",
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', demandOption: true, describe: 'name of the run' })
      .positional('group', { type: 'string', demandOption: true, describe: 'id of the group' })
      .example('$0 aggregator revoke agg quickstart Kenya', ''),
  run: async (flags, terminal) => {
    await reach(flags, ({ api }) => api.revoke(flags.run, flags.group));
    terminal.event({ type: 'revoked', run: flags.run, group: flags.group });
    terminal.print(`The key of group "${flags.group}" counts no more in run "${flags.run}".`);
  },
});
