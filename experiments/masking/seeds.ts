import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.ts';
import { ownCommit } from '../../src/simulate/environment.ts';
import { runExperiment } from '../../src/simulate/run.ts';

/**
 * What masking costs in alignment: configs/gpo.yaml with and without it, over training seeds on one split. Run with tsx; writes
 * seeds.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SEEDS = [0, 1, 2, 3, 4];
const PROTECTIONS = ['none', 'mask'];

const folder = mkdtempSync(join(tmpdir(), 'pluralllm-masking-'));

async function score(protection: string, seed: number) {
  const overrides = [
    `protection={name: ${protection}}`,
    `seed=${seed}`,
    'data.splitSeed=0',
    'compare=[]',
    'evaluation.every=1000',
  ];
  const config = loadConfig(at('../../configs/gpo.yaml'), overrides);
  const place = join(folder, `${protection}-${seed}`);
  const { record } = await runExperiment(config, { folder: place, resume: false, emit: () => {} });
  const { summaries } = record.methods.find(({ id }) => id === 'federated')!;
  const { uploadPerParameter } = record.bytes;
  return { unseen: summaries.unseen!.mean, training: summaries.training!.mean, uploadPerParameter };
}

try {
  const rows = [];
  for (const protection of PROTECTIONS) {
    const scores = [];
    for (const seed of SEEDS) scores.push(await score(protection, seed));
    rows.push({ protection, scores });
    process.stderr.write(`${protection}: ${scores.map(({ unseen }) => unseen.toFixed(4)).join(', ')}\n`);
  }
  writeFileSync(
    at('seeds.json'),
    `${JSON.stringify({ commit: ownCommit(), seeds: SEEDS, rows }, null, 2)}\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
