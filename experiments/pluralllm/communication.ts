import { fileURLToPath } from 'node:url';
import { type LabelledRun, runOverSeeds } from '../over-seeds.ts';

/**
 * What alignment costs in bytes: the quickstart under mask with fewer rounds of more local steps and with fewer bits, the same number of local steps
 * in all. Run with tsx; writes communication.json, from which README.md's table is printed.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Local steps of a group in the whole run. */
const STEPS = 240;

function setting(
  label: string,
  rounds: number,
  strategy: string,
  bits: number,
  ...more: string[]
): LabelledRun {
  return {
    label: `${label}, ${rounds} rounds of ${STEPS / rounds} steps, ${bits} bits`,
    config: at('../../configs/quickstart.yaml'),
    overrides: [
      `training.rounds=${rounds}`,
      `training.localSteps=${STEPS / rounds}`,
      `strategy=${strategy}`,
      `protection={ name: mask, bits: ${bits}, mostGroups: 16 }`,
      ...more,
    ],
  };
}

const FEDAVG = '{ name: fedavg }';
const DILOCO = '{ name: diloco }';
/** Where steps are many, training turns back: parameters move less far than the bound of the default, and few bits want a tight grid. */
const CLIP = 'protection.clipValue=2';

await runOverSeeds({
  runs: [
    setting('fedavg', 40, FEDAVG, 16),
    setting('fedavg', 40, FEDAVG, 8),
    setting('fedavg', 10, FEDAVG, 16),
    setting('fedavg', 10, FEDAVG, 8, CLIP),
    setting('fedavg', 5, FEDAVG, 16),
    setting('fedavg', 5, FEDAVG, 8, CLIP),
    setting('diloco', 10, DILOCO, 16),
    setting('diloco', 5, DILOCO, 16),
    setting('diloco', 5, DILOCO, 8, CLIP),
    setting('fedavg', 3, FEDAVG, 8, CLIP),
    setting('diloco', 3, DILOCO, 8, CLIP),
  ],
  seeds: [0, 1, 2],
  compared: [],
  output: at('communication.json'),
});
