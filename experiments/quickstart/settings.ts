import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.ts';
import { readRecord } from '../../src/report/write.ts';
import { ownCommit } from '../../src/simulate/environment.ts';
import { runExperiment } from '../../src/simulate/run.ts';

/**
 * How the quickstart's settings were chosen: of its 14 training groups, 10 train and 4 judge. Run with tsx; writes
 * settings.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const CONFIG = at('../../configs/quickstart.yaml');
const SEEDS = [0, 1];
const TRAINING = 10;
const COSINE = 'training.schedule=warmup-cosine training.warmupSteps=24';

const SETTINGS: readonly (readonly [label: string, overrides: string])[] = [
  ["nll, learning rate 3e-4 (the paper's)", 'predictor.loss=nll'],
  ['nll, 1e-3', 'predictor.loss=nll training.learningRate=0.001'],
  ['nll, 1e-3 with warm-up and cosine', `predictor.loss=nll training.learningRate=0.001 ${COSINE}`],
  ['kl, 3e-4', 'predictor.loss=kl'],
  ['kl, 1e-3 with warm-up and cosine', `predictor.loss=kl training.learningRate=0.001 ${COSINE}`],
  ['kl, 2e-3 with warm-up and cosine', `predictor.loss=kl training.learningRate=0.002 ${COSINE}`],
  [
    'kl, pre-norm, 1e-3 with both',
    `predictor.loss=kl predictor.norm=pre training.learningRate=0.001 ${COSINE}`,
  ],
  [
    'kl, pre-norm, 3e-3 with both',
    `predictor.loss=kl predictor.norm=pre training.learningRate=0.003 ${COSINE}`,
  ],
];

const folder = mkdtempSync(join(tmpdir(), 'pluralllm-settings-'));

/** Mean alignment of the validation groups: of the federated predictor, and of the mean of the ten. */
async function judge(overrides: readonly string[], groups: readonly string[], seed: number) {
  const split = `data.groups=${JSON.stringify({ training: groups.slice(0, TRAINING), unseen: groups.slice(TRAINING) })}`;
  const fixed = ['compare=[group-mean]', 'evaluation.every=1000', `seed=${seed}`, split];
  const config = loadConfig(CONFIG, [...overrides, ...fixed]);
  const place = join(folder, String(performance.now()));
  const { record } = await runExperiment(config, { folder: place, resume: false, emit: () => {} });
  const meanOf = (id: string) => record.methods.find((method) => method.id === id)!.summaries.unseen!.mean;
  return { federated: meanOf('federated'), groupMean: meanOf('group-mean') };
}

try {
  const groups = readRecord(at('.')).split.trainingGroups;
  const rows = [];
  let groupMean = 0;
  for (const [label, overrides] of SETTINGS) {
    const alignment = [];
    for (const seed of SEEDS) {
      const judged = await judge(overrides.split(' '), groups, seed);
      alignment.push(judged.federated);
      if (seed === 0) groupMean = judged.groupMean;
    }
    rows.push({ label, overrides, alignment });
    process.stderr.write(`${label}: ${alignment.map((value) => value.toFixed(3)).join(', ')}\n`);
  }
  const result = { commit: ownCommit(), seeds: SEEDS, validation: groups.slice(TRAINING), groupMean, rows };
  writeFileSync(at('settings.json'), `${JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
