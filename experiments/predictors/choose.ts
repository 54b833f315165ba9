import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readRecord } from '../../src/report/write.ts';
import { ownCommit } from '../../src/simulate/environment.ts';
import { Judge, type Trial } from '../judge.ts';

/**
 * How the settings of predictor `factor` were chosen on the quickstart's data: of its 14 training groups, 10 train and 4 judge. Run with
 * tsx; writes choose.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SEEDS = [0, 1];
const TRAINING = 10;
const COSINE = ['training.schedule=warmup-cosine', 'training.warmupSteps=24'];

/** `factor` with some of its options, at a learning rate that falls along a cosine, under masking without a fixed grid to hinder it. */
function factorAt(learningRate: number, options: Readonly<Record<string, number>>, ...more: string[]): Trial {
  const shown = Object.entries(options).map(([key, value]) => `${key} ${value}`);
  return {
    label: ['factor', `learning rate ${learningRate}`, ...shown, ...more].join(', '),
    overrides: [
      `predictor=${JSON.stringify({ name: 'factor', ...options })}`,
      `training.learningRate=${learningRate}`,
      ...COSINE,
      ...more,
    ],
  };
}

const TRIALS: readonly Trial[] = [
  { label: 'gpo, as in the quickstart', overrides: [] },
  factorAt(0.01, {}),
  factorAt(0.03, {}),
  factorAt(0.1, {}),
  factorAt(0.03, { rank: 2 }),
  factorAt(0.03, { rank: 3 }),
  factorAt(0.03, { rank: 6 }),
  factorAt(0.03, { rank: 8 }),
  factorAt(0.03, { evidence: 3 }),
  factorAt(0.03, { evidence: 30 }),
  factorAt(0.03, { initialDeviation: 0.1 }),
  factorAt(0.03, { initialDeviation: 0.6 }),
  factorAt(0.03, {}, 'training.weightDecay=0.1'),
  factorAt(0.03, {}, 'training.contextQuestions=[10,10]', 'training.targetQuestions=[40,47]'),
];

const groups = readRecord(at('../quickstart')).split.trainingGroups;
const validation = groups.slice(TRAINING);
const judge = new Judge(at('../../configs/quickstart.yaml'), groups.slice(0, TRAINING), validation);
try {
  const rows = [];
  let groupMean = 0;
  for (const trial of TRIALS) {
    const alignment = [];
    for (const seed of SEEDS) {
      const judged = await judge.judge(trial, seed);
      alignment.push(judged.federated);
      groupMean = judged.groupMean;
    }
    rows.push({ label: trial.label, overrides: trial.overrides, alignment });
    process.stderr.write(`${trial.label}: ${alignment.map((value) => value.toFixed(4)).join(', ')}\n`);
  }
  const result = { commit: ownCommit(), seeds: SEEDS, validation, groupMean, rows };
  writeFileSync(at('choose.json'), `${JSON.stringify(result, null, 2)}\n`);
} finally {
  judge.close();
}
