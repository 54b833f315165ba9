import { fileURLToPath } from 'node:url';
import { runOverSeeds } from '../over-seeds.ts';

/**
 * What strategies that weigh badly predicted groups more change for the mean and for the worst group: the paper's predictor on the groups of the
 * quickstart, under mask. Run with tsx; writes fairness.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** [strategy, label] */
const STRATEGIES: readonly (readonly [strategy: string, label: string])[] = [
  ['{ name: fedavg, weighting: equal }', 'fedavg'],
  ['{ name: qfedavg, weighting: equal, q: 1 }', 'qfedavg, q 1'],
  ['{ name: qfedavg, weighting: equal, q: 5 }', 'qfedavg, q 5'],
  ['{ name: adaptive, weighting: equal, temperature: 0.25 }', 'adaptive, temperature 0.25'],
  ['{ name: adaptive, weighting: equal, temperature: 0.1 }', 'adaptive, temperature 0.1'],
];

await runOverSeeds({
  runs: STRATEGIES.map(([strategy, label]) => ({
    label,
    config: at('../../configs/gpo.yaml'),
    overrides: [`strategy=${strategy}`, 'protection={ name: mask }'],
  })),
  seeds: [0, 1, 2],
  compared: [],
  output: at('fairness.json'),
});
