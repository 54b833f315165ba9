import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configDigest } from '../src/config/config.ts';
import { loadConfig } from '../src/config/load.ts';
import type { MethodRecord, RunRecord } from '../src/report/record.ts';
import { ownCommit } from '../src/simulate/environment.ts';
import { runExperiment } from '../src/simulate/run.ts';

/** Settings with a name: a configuration and what is changed in it. */
export interface LabelledRun {
  readonly label: string;
  /** Path of the configuration. */
  readonly config: string;
  readonly overrides: readonly string[];
}

/** How the unseen groups fared in one run, and what one training group sent. */
export interface SeedScore {
  readonly mean: number;
  readonly worst: number;
  readonly cov: number;
  readonly ece: number;
  readonly uploadedBytes: number;
}

/** Labelled runs over training seeds on one split; what is written as JSON. */
export interface OverSeeds {
  readonly commit: string | null;
  readonly seeds: readonly number[];
  readonly rows: readonly {
    readonly label: string;
    /** Config digest of each seed. */
    readonly configs: readonly string[];
    readonly scores: readonly SeedScore[];
  }[];
}

function scoreOf({ summaries }: MethodRecord, uploadedBytes: number): SeedScore {
  const { mean, worst, coefficientOfVariation: cov, calibrationError: ece = Number.NaN } = summaries.unseen!;
  return { mean, worst, cov, ece, uploadedBytes };
}

/** Bytes that one training group sent. */
function uploadedBy({ bytes, split }: RunRecord): number {
  return Math.round(bytes.uploadTotal / split.trainingGroups.length);
}

/**
 * Runs everything with every seed and writes the scores. `compared`: comparisons that depend on the contexts that the seed draws and on nothing that
 * is trained, taken from the first run of each seed.
 */
export async function runOverSeeds(plan: {
  readonly runs: readonly LabelledRun[];
  readonly seeds: readonly number[];
  readonly compared: readonly { readonly id: string; readonly label: string }[];
  readonly output: string;
}): Promise<void> {
  const { runs, seeds, compared, output } = plan;
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-seeds-'));
  const empty = (label: string) => ({ label, configs: [] as string[], scores: [] as SeedScore[] });
  const beside = compared.map(({ label }) => empty(label));
  try {
    const rows = [];
    for (const [index, run] of runs.entries()) {
      const row = empty(run.label);
      for (const seed of seeds) {
        const ids = index === 0 ? compared.map(({ id }) => id) : [];
        const fixed = [
          `seed=${seed}`,
          'data.splitSeed=0',
          `compare=[${ids.join(', ')}]`,
          'evaluation.every=1000',
        ];
        const config = loadConfig(run.config, [...run.overrides, ...fixed]);
        const place = join(folder, `${index}-${seed}`);
        const { record } = await runExperiment(config, { folder: place, resume: false, emit: () => {} });
        const methodOf = (id: string) => record.methods.find((method) => method.id === id)!;
        row.configs.push(configDigest(config));
        row.scores.push(scoreOf(methodOf('federated'), uploadedBy(record)));
        for (const [at, id] of ids.entries()) beside[at]!.scores.push(scoreOf(methodOf(id), 0));
      }
      rows.push(row);
      process.stderr.write(`${row.label}: ${row.scores.map(({ mean }) => mean.toFixed(4)).join(', ')}\n`);
    }
    const result: OverSeeds = { commit: ownCommit(), seeds, rows: [...rows, ...beside] };
    writeFileSync(output, `${JSON.stringify(result, null, 2)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
