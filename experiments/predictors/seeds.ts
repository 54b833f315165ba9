import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configDigest } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ownCommit } from '../../src/simulate/environment.ts';
import { runExperiment } from '../../src/simulate/run.ts';

/**
 * The predictors on the seven unseen groups of the quickstart, over training seeds on one split, beside the comparisons. Run with tsx;
 * writes seeds.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SEEDS = [0, 1, 2, 3, 4];
const RUNS = [
  { label: 'gpo, masked', config: 'gpo.yaml', protection: 'mask' },
  { label: 'factor, masked', config: 'quickstart.yaml', protection: 'mask' },
  { label: 'factor, in clear', config: 'quickstart.yaml', protection: 'none' },
  { label: 'factor, encrypted', config: 'quickstart.yaml', protection: 'seal' },
];
const COMPARED = [
  { id: 'group-mean', label: 'mean of the training groups' },
  { id: 'similarity-mean', label: 'similarity-weighted mean, which needs every answer in clear' },
];

interface Score {
  readonly mean: number;
  readonly worst: number;
  readonly cov: number;
  readonly ece: number;
}

const folder = mkdtempSync(join(tmpdir(), 'pluralllm-predictors-'));

async function score(run: (typeof RUNS)[number], seed: number) {
  const config = loadConfig(at(`../../configs/${run.config}`), [
    `protection={name: ${run.protection}}`,
    `seed=${seed}`,
    'data.splitSeed=0',
    'compare=[group-mean, similarity-mean]',
    'evaluation.every=1000',
  ]);
  const place = join(folder, `${run.config}-${run.protection}-${seed}`);
  const { record } = await runExperiment(config, { folder: place, resume: false, emit: () => {} });
  const scoreOf = (id: string): Score => {
    const {
      mean,
      worst,
      coefficientOfVariation: cov,
      calibrationError: ece = Number.NaN,
    } = record.methods.find((method) => method.id === id)!.summaries.unseen!;
    return { mean, worst, cov, ece };
  };
  return {
    own: scoreOf('federated'),
    compared: COMPARED.map(({ id }) => scoreOf(id)),
    config: configDigest(config),
  };
}

try {
  const rows: { label: string; configs: string[]; scores: Score[] }[] = [];
  const compared = COMPARED.map(({ label }) => ({ label, configs: [] as string[], scores: [] as Score[] }));
  for (const run of RUNS) {
    const scores: Score[] = [];
    const configs: string[] = [];
    for (const seed of SEEDS) {
      const scored = await score(run, seed);
      scores.push(scored.own);
      configs.push(scored.config);
      // Comparisons depend on the contexts that the seed draws, and on nothing that is trained.
      if (run === RUNS[0]) for (const [i, own] of scored.compared.entries()) compared[i]!.scores.push(own);
    }
    rows.push({ label: run.label, configs, scores });
    process.stderr.write(`${run.label}: ${scores.map(({ mean }) => mean.toFixed(4)).join(', ')}\n`);
  }
  const result = { commit: ownCommit(), seeds: SEEDS, rows: [...rows, ...compared] };
  writeFileSync(at('seeds.json'), `${JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
