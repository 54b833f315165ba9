import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.ts';
import { ownCommit } from '../src/simulate/environment.ts';
import { runExperiment } from '../src/simulate/run.ts';

/** Settings under trial: overrides of a configuration. */
export interface Trial {
  readonly label: string;
  readonly overrides: readonly string[];
}

export interface Trials {
  /** Path of the configuration that they change. */
  readonly config: string;
  /** Groups of which some train and the others judge: none that is reported on. */
  readonly groups: readonly string[];
  /** How many of them train. */
  readonly training: number;
  readonly seeds: readonly number[];
  readonly trials: readonly Trial[];
  /** Where the data are, as overrides of all trials that are not written down; left out: none. */
  readonly data?: readonly string[];
  /** Where the result goes, as JSON. */
  readonly output: string;
}

/** Mean alignment of the groups that judge: of the federated predictor, and of the mean of those that train. */
interface Judged {
  readonly federated: number;
  readonly groupMean: number;
}

async function judge(plan: Trials, folder: string, { overrides }: Trial, seed: number): Promise<Judged> {
  const { config: path, groups, training, data = [] } = plan;
  const split = { training: groups.slice(0, training), unseen: groups.slice(training) };
  const fixed = ['compare=[group-mean]', 'evaluation.every=1000', `seed=${seed}`];
  const config = loadConfig(path, [...data, ...overrides, ...fixed, `data.groups=${JSON.stringify(split)}`]);
  const place = join(folder, String(performance.now()));
  const { record } = await runExperiment(config, { folder: place, resume: false, emit: () => {} });
  const meanOf = (id: string) => record.methods.find((method) => method.id === id)!.summaries.unseen!.mean;
  return { federated: meanOf('federated'), groupMean: meanOf('group-mean') };
}

/** Runs every trial with every seed; writes each one's alignment by seed, and that of the mean of the training groups. */
export async function judgeTrials(plan: Trials): Promise<void> {
  const { groups, training, seeds, trials, output } = plan;
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-judge-'));
  try {
    const rows = [];
    let groupMean = 0;
    for (const trial of trials) {
      const alignment = [];
      for (const seed of seeds) {
        const judged = await judge(plan, folder, trial, seed);
        alignment.push(judged.federated);
        if (seed === seeds[0]) groupMean = judged.groupMean;
      }
      rows.push({ ...trial, alignment });
      process.stderr.write(`${trial.label}: ${alignment.map((value) => value.toFixed(4)).join(', ')}\n`);
      // What was judged so far is not lost with what comes.
      const result = { commit: ownCommit(), seeds, validation: groups.slice(training), groupMean, rows };
      writeFileSync(output, `${JSON.stringify(result, null, 2)}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
