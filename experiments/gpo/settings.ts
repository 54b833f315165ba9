import { fileURLToPath } from 'node:url';
import { readRecord } from '../../src/report/write.ts';
import { judgeTrials } from '../judge.ts';

/**
 * How the settings of configs/gpo.yaml were chosen: of its 14 training groups, 10 train and 4 judge. Run with tsx; writes
 * settings.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
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

await judgeTrials({
  config: at('../../configs/gpo.yaml'),
  groups: readRecord(at('.')).split.trainingGroups,
  training: 10,
  seeds: [0, 1],
  trials: SETTINGS.map(([label, overrides]) => ({ label, overrides: overrides.split(' ') })),
  output: at('settings.json'),
});
