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
  describe: "take a group's key away, or a keeper's; what it sent before stays in the models",
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', demandOption: true, describe: 'name of the run' })
      .positional('group', {
        type: 'string',
        demandOption: true,
        describe: "id of the group; with --keeper the keeper's public key",
      })
      .option('keeper', { type: 'boolean', default: false, describe: 'revoke a keeper of a sharded run' })
      .example('$0 aggregator revoke agg quickstart Kenya', ''),
  run: async (flags, terminal) => {
    const { run, group, keeper } = flags;
    await reach(flags, ({ api }) => (keeper ? api.revokeKeeper(run, group) : api.revoke(run, group)));
    terminal.event({ type: 'revoked', run, [keeper ? 'keeper' : 'group']: group });
    terminal.print(`The key of ${keeper ? 'keeper' : 'group'} "${group}" counts no more in run "${run}".`);
  },
});
