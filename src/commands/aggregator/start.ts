import { loadConfig } from '../../config/load.ts';
import { participationOf } from '../../config/round-groups.ts';
import { keepersOf } from '../../config/sharded-run.ts';
import { isFile } from '../../core/files.ts';
import { prepareExperiment } from '../../simulate/experiment.ts';
import { planOf } from '../../simulate/run-plan.ts';
import { defineCommand } from '../command.ts';
import { showProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { type Reached, reach, withAggregator } from './reach.ts';

async function startNew(
  { api }: Reached,
  aggregator: string,
  path: string,
  overrides: readonly string[],
  terminal: Terminal,
): Promise<void> {
  const config = loadConfig(path, overrides);
  const experiment = await prepareExperiment(config, showProgress(terminal));
  const plan = planOf(experiment);
  const { run, digest } = await api.createRun({ name: config.name, plan });
  terminal.event({ type: 'run', run, digest, quorum: plan.quorum, rounds: config.training.rounds });
  const needed = Math.max(plan.quorum, participationOf(config)?.begin ?? 0);
  terminal.print(`Run "${run}": ${config.training.rounds} rounds, begins when ${needed} groups have joined.`);
  terminal.print(`Next: pluralllm aggregator invite ${aggregator} ${run} --count ${needed}`);
  const keepers = keepersOf(config);
  if (keepers === 0) return;
  terminal.print(`It also waits for ${keepers} keepers, none of whom is a group:`);
  terminal.print(`  pluralllm aggregator invite ${aggregator} ${run} --keeper --count ${keepers}`);
}

export const startCommand = defineCommand({
  usage: 'start <aggregator> <config> [overrides..]',
  describe: 'begin a run from a YAML file, or open the failed round of a run again',
  lists: ['overrides'],
  options: (parser) =>
    withAggregator(parser)
      .positional('config', {
        type: 'string',
        demandOption: true,
        describe: 'YAML file of a new run, or the name of a run',
      })
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'settings that replace those of the file, as key.path=value',
      })
      .example('$0 aggregator start agg configs/quickstart.yaml round.quorum=5', 'a new run')
      .example('$0 aggregator start agg quickstart', 'go on after a round that failed'),
  run: async (flags, terminal) => {
    const { aggregator, config, overrides } = flags;
    await reach(flags, async (reached) => {
      if (isFile(config) || /\.ya?ml$/.test(config)) {
        return startNew(reached, aggregator, config, overrides, terminal);
      }
      await reached.api.start(config);
      const { phase, summary } = await reached.api.status(config);
      terminal.event({ type: 'started', run: config, phase });
      terminal.print(summary);
    });
  },
});
