import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { isFolder } from '../core/files.ts';
import { findingOf, headline } from '../report/finding.ts';
import type { RunRecord } from '../report/record.ts';
import { comparisonTable } from '../report/table.ts';
import { RECORD_FILE } from '../report/write.ts';
import { runExperiment } from '../simulate/run.ts';
import { frozenConfigPath } from '../simulate/run-folder.ts';
import { defineCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { showProgress } from './progress.ts';
import { asksForGrid, runGridCommand } from './run-grid.ts';
import type { Terminal } from './terminal.ts';

interface Chosen {
  readonly config: Config;
  readonly folder: string | null;
}

/** A configuration file, or a run folder whose frozen configuration is meant. Errors: RUN_NOT_FOUND, those of `loadConfig`. */
function choose(path: string, overrides: readonly string[], outputDir: string | undefined): Chosen {
  if (!isFolder(path)) return { config: loadConfig(path, overrides), folder: outputDir ?? null };
  return { config: loadConfig(frozenConfigPath(path), overrides), folder: outputDir ?? path };
}

/** The flags that are short for overrides. */
function flagOverrides(flags: {
  seed: number | undefined;
  device: string | undefined;
  workers: number | undefined;
}): string[] {
  return [
    ...(flags.seed === undefined ? [] : [`seed=${flags.seed}`]),
    ...(flags.device === undefined ? [] : [`runtime.device=${flags.device}`]),
    ...(flags.workers === undefined ? [] : [`runtime.workers=${flags.workers}`]),
  ];
}

/** The comparison as the last line for machines. */
function resultEvent(folder: string, { methods }: RunRecord) {
  return {
    type: 'result',
    record: join(folder, RECORD_FILE),
    methods: methods.map(({ id, summaries, convergence }) => ({ id, summaries, convergence })),
  };
}

interface OneRun {
  readonly config: string;
  readonly overrides: readonly string[];
  readonly outputDir: string | undefined;
  readonly resume: boolean;
}

async function runOnce(asked: OneRun, terminal: Terminal): Promise<void> {
  const { config, folder } = choose(asked.config, asked.overrides, asked.outputDir);
  const interrupt = interruptible();
  const outcome = await runExperiment(config, {
    folder,
    resume: asked.resume,
    emit: showProgress(terminal),
    signal: interrupt.signal,
  });
  const { report, record } = outcome;
  terminal.event(resultEvent(outcome.folder, record));
  terminal.print(
    `\n${comparisonTable(record, terminal.width)}\n\n${headline(findingOf(record))}\n\nReport: ${report}`,
  );
}

export const runCommand = defineCommand({
  usage: 'run <config> [overrides..]',
  describe: 'train federated, compare, evaluate and report, from one YAML file',
  lists: ['overrides', 'grid'],
  options: (parser) =>
    parser
      .positional('config', {
        type: 'string',
        demandOption: true,
        describe: 'YAML file, or the folder of a run or a grid to resume',
      })
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'settings that replace those of the file, as key.path=value',
      })
      .option('resume', {
        type: 'boolean',
        default: false,
        describe:
          'go on with the newest run or grid of this name, or with the folder given; runs of a grid that failed are tried again',
      })
      .option('output-dir', { type: 'string', describe: 'run folder (default: runs/<name>, numbered)' })
      .option('seeds', {
        type: 'string',
        describe:
          "a run for each of N seeds, counted from the configuration's, or for each of a list: 0,3,7; with --resume the grid may get more, after those it has",
      })
      .option('grid', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [] as string[],
        describe: 'a run for each value, as key.path=a,b; given again, for each combination',
      })
      .option('seed', { type: 'number', describe: 'same as seed=N' })
      .option('device', { type: 'string', describe: 'same as runtime.device=NAME' })
      .option('workers', { type: 'number', describe: 'same as runtime.workers=N' })
      .example('$0 run configs/quickstart.yaml', 'the default job')
      .example(
        '$0 run configs/quickstart.yaml training.rounds=10 --seed 3',
        'the same, shorter, another seed',
      )
      .example(
        '$0 run configs/quickstart.yaml --seeds 3 --grid training.localSteps=3,6 data.splitSeed=0',
        'six runs on one split, compared with their spread over the seeds',
      )
      .example(
        '$0 run configs/quickstart.yaml --seeds 5 --grid training.localSteps=3,6 data.splitSeed=0 --resume',
        'two more seeds in the newest grid of that name',
      )
      .example('$0 run runs/quickstart --resume', 'go on after an interruption; a grid of runs too'),
  run: async (flags, terminal) => {
    const overrides = [...flags.overrides, ...flagOverrides(flags)];
    const { config, seed, seeds, grid, outputDir, resume } = flags;
    const many = { config, overrides, seed, seeds, grid, outputDir, resume };
    await (asksForGrid(many) ? runGridCommand(many, terminal) : runOnce(many, terminal));
  },
});
