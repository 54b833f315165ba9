import { loadConfig } from '../config/load.ts';
import type { Guarantee } from '../privacy/protection.ts';
import { textTable } from '../report/table.ts';
import { type Experiment, pluginsOf, prepareExperiment } from '../simulate/experiment.ts';
import { defineCommand } from './command.ts';
import { showProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Rounds to show: the first, quarters of the run, the last. */
function roundsShown(rounds: number): number[] {
  const quarters = [1, rounds / 4, rounds / 2, (3 * rounds) / 4, rounds].map((round) => Math.ceil(round));
  return [...new Set(quarters)];
}

function showGuarantee(
  terminal: Terminal,
  { epsilons, delta, localSigma, honestSurvivors, mostNorm }: Guarantee,
  { config, predictor, trainingGroups }: Experiment,
): void {
  const { corruptShare } = config.protection;
  // Of the mean over the groups, against a mean of updates that all have the clip norm and point one way.
  const drowned = (localSigma * Math.sqrt(predictor.layout.size / trainingGroups.length)) / mostNorm;
  const columns = [
    { title: 'rounds', align: 'right' as const },
    { title: 'epsilon', align: 'right' as const },
  ];
  const rows = roundsShown(epsilons.length).map((round) => [String(round), epsilons[round - 1]!.toFixed(3)]);
  terminal.print(`A group that takes part in these rounds spends, at delta ${delta}:\n`);
  terminal.print(textTable(columns, rows));
  terminal.print('');
  terminal.print(
    'Epsilon bounds what sums and models tell of all answers of a group together; that it takes part is known.',
  );
  terminal.print(
    `It holds while at most a share of ${corruptShare} of the groups works with the aggregator (protection.corruptShare).`,
  );
  terminal.print(
    `${honestSurvivors} shares of noise hide it, those of other groups that do not work with the aggregator.`,
  );
  terminal.print(
    `With ${trainingGroups.length} groups the noise in the mean update is ${drowned.toPrecision(3)} times as long as an update at the clip norm.`,
  );
  terminal.print(
    'In a simulation ("pluralllm run") the noise follows from the seed: whoever knows that can take it off.',
  );
}

export const privacyCommand = defineCommand({
  usage: 'privacy <config> [overrides..]',
  describe: "say what a configuration spends of a group's privacy, round by round",
  lists: ['overrides'],
  options: (parser) =>
    parser
      .positional('config', { type: 'string', demandOption: true, describe: 'YAML file' })
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'settings that replace those of the file, as key.path=value',
      })
      .example('$0 privacy configs/quickstart.yaml', '')
      .example('$0 privacy my-run.yaml protection.differentialPrivacy.epsilon=8', ''),
  run: async (flags, terminal) => {
    const config = loadConfig(flags.config, flags.overrides);
    const experiment = await prepareExperiment(config, showProgress(terminal));
    const { protection } = pluginsOf(experiment);
    const { guarantee, name, reveals, sealedSums } = protection;
    terminal.event({ type: 'privacy', protection: name, reveals, guarantee });
    const sums =
      sealedSums === null ? 'nothing but the sum of the updates of a round' : 'no update and no sum';
    terminal.print(
      `Protection "${name}": the aggregator sees ${reveals === 'sum' ? sums : 'every update in clear'}.`,
    );
    if (guarantee !== null) return showGuarantee(terminal, guarantee, experiment);
    terminal.print(
      `No noise is added: nothing bounds what the ${reveals === 'sum' ? 'sums' : 'updates'} and the trained model tell of a group (epsilon is infinite).`,
    );
    terminal.print(
      'Noise takes protection mask or seal with differentialPrivacy, clipNorm, and leastGroups near the number of groups,',
    );
    terminal.print('and strategy.weighting=equal: see configs/reference.yaml.');
  },
});
