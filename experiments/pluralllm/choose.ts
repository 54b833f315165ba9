import { fileURLToPath } from 'node:url';
import { judgeTrials, type Trial } from '../judge.ts';

/**
 * What the settings of configs/countries.yaml are worth, one changed at a time, on six countries that are in neither list of the experiment: the eight training countries train. Run with tsx and the paths of
 * GlobalOpinionQA and its vectors; writes choose.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const [opinions, vectors] = process.argv.slice(2);
if (opinions === undefined || vectors === undefined) {
  throw new Error('usage: choose.ts <global_opinions.csv> <vectors.arrow>');
}

const TRAINING = [
  'Nigeria',
  'Egypt',
  'India (Current national sample)',
  'Germany',
  'United States',
  'Canada',
  'Argentina',
  'Australia',
];
const JUDGES = ['Russia', 'Turkey', 'Mexico', 'Britain', 'South Korea', 'Netherlands'];

const plural = (options: Readonly<Record<string, number>>) =>
  `predictor=${JSON.stringify({ name: 'plural', evidence: 0.1, ...options })}`;

const TRIALS: readonly Trial[] = [
  { label: 'plural, as in configs/countries.yaml', overrides: [] },
  { label: 'targets of 10 to 100 questions', overrides: ['training.targetQuestions=[10,100]'] },
  { label: 'one member', overrides: [plural({ members: 1 })] },
  { label: 'factors that start at 0.5', overrides: [plural({ initialDeviation: 0.5 })] },
  { label: 'evidence 5', overrides: [plural({ evidence: 5 })] },
  { label: 'no memory step larger than the networks’', overrides: [plural({ memoryScale: 1 })] },
];

await judgeTrials({
  config: at('../../configs/countries.yaml'),
  groups: [...TRAINING, ...JUDGES],
  training: TRAINING.length,
  seeds: [0, 1],
  trials: TRIALS,
  data: [
    `data.path=${opinions}`,
    'data.options={ groups: all }',
    'features.name=arrow',
    `features.path=${vectors}`,
    'runtime.device=cpu',
  ],
  output: at('choose.json'),
});
