import { fileURLToPath } from 'node:url';
import { runOverSeeds } from '../over-seeds.ts';

/**
 * The predictors on the seven unseen groups of the quickstart, over training seeds on one split, beside the comparisons. Run with tsx;
 * writes seeds.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const [GPO, QUICKSTART] = [at('../../configs/gpo.yaml'), at('../../configs/quickstart.yaml')];
const PLURAL = [
  'predictor={ name: plural }',
  'training.learningRate=0.002',
  'training.weightDecay=1',
  'training.contextQuestions=[5, 15]',
  'training.targetQuestions=[40, 50]',
];

await runOverSeeds({
  runs: [
    { label: 'gpo, masked', config: GPO, overrides: ['protection={ name: mask }'] },
    { label: 'plural, masked', config: QUICKSTART, overrides: ['protection={ name: mask }', ...PLURAL] },
    { label: 'factor, masked', config: QUICKSTART, overrides: ['protection={ name: mask }'] },
    { label: 'factor, in clear', config: QUICKSTART, overrides: ['protection={ name: none }'] },
    { label: 'factor, encrypted', config: QUICKSTART, overrides: ['protection={ name: seal }'] },
  ],
  seeds: [0, 1, 2, 3, 4],
  compared: [
    { id: 'group-mean', label: 'mean of the training groups' },
    { id: 'similarity-mean', label: 'similarity-weighted mean, which needs every answer in clear' },
  ],
  output: at('seeds.json'),
});
