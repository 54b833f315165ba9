import { fileURLToPath } from 'node:url';
import { readRecord } from '../../src/report/write.ts';
import { judgeTrials, type Trial } from '../judge.ts';

/**
 * How the settings of predictor `factor` were chosen on the quickstart's data: of its 14 training groups, 10 train and 4 judge. Run with
 * tsx; writes choose.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const COSINE = ['training.schedule=warmup-cosine', 'training.warmupSteps=24'];

/** `factor` with some of its options, at a learning rate that falls along a cosine. */
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
  { label: 'gpo, as in configs/gpo.yaml', overrides: [] },
  factorAt(0.03, {}),
  factorAt(0.1, {}),
  factorAt(0.2, {}),
  factorAt(0.4, {}),
  factorAt(0.2, { rank: 2 }),
  factorAt(0.2, { rank: 3 }),
  factorAt(0.2, { rank: 6 }),
  factorAt(0.2, { evidence: 3 }),
  factorAt(0.2, { evidence: 30 }),
  factorAt(0.2, { initialDeviation: 0.1 }),
  factorAt(0.2, {}, 'training.contextQuestions=[10,10]', 'training.targetQuestions=[40,47]'),
  factorAt(0.2, { rank: 8 }),
  factorAt(0.2, { rank: 6 }, 'training.weightDecay=0.005'),
  factorAt(0.2, { rank: 6 }, 'training.weightDecay=0.02'),
  factorAt(0.2, { rank: 6 }, 'training.rounds=80'),
  factorAt(0.2, { rank: 6 }, 'training.contextQuestions=[5,15]'),
  factorAt(0.1, { rank: 6 }, 'training.rounds=80'),
];

await judgeTrials({
  config: at('../../configs/gpo.yaml'),
  groups: readRecord(at('../gpo')).split.trainingGroups,
  training: 10,
  seeds: [0, 1],
  trials: TRIALS,
  output: at('choose.json'),
});
