import { fileURLToPath } from 'node:url';
import { type LabelledRun, runOverSeeds } from '../over-seeds.ts';

/**
 * What alignment costs in bytes: the paper's predictor on the groups of the quickstart, under mask, with fewer rounds of more local steps, fewer bits,
 * and random parts of the parameters (SPARTA); the same number of local steps in all. Run with tsx; writes communication-gpo.json, from which README.md's
 * table is printed. `npx tsx communication.ts factor` does so for the item memory of the quickstart: communication.json.
 */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Local steps of a group in the whole run. */
const STEPS = 240;

/** Settings of one configuration. */
function settingsOf(config: string) {
  return (
    strategy: 'fedavg' | 'diloco',
    rounds: number,
    bits: number,
    { parts = 1, more = [] }: { readonly parts?: number; readonly more?: readonly string[] } = {},
  ): LabelledRun => ({
    label: `${strategy}, ${rounds} rounds of ${STEPS / rounds} steps, ${bits} bits${parts === 1 ? '' : `, ${parts} parts`}`,
    config: at(config),
    overrides: [
      `training.rounds=${rounds}`,
      `training.localSteps=${STEPS / rounds}`,
      `strategy={ name: ${strategy} }`,
      `protection={ name: mask, bits: ${bits}, mostGroups: 16 }`,
      `updates.parts=${parts}`,
      ...more,
    ],
  });
}

const gpo = settingsOf('../../configs/gpo.yaml');
const factor = settingsOf('../../configs/quickstart.yaml');
/** Where steps are many, training turns back: parameters move less far than the bound of the default, and few bits want a tight grid. */
const CLIP = { more: ['protection.clipValue=2'] };

const GPO = {
  runs: [
    gpo('fedavg', 40, 16),
    gpo('fedavg', 40, 8),
    gpo('fedavg', 40, 4),
    gpo('fedavg', 5, 16),
    gpo('fedavg', 5, 4),
    gpo('diloco', 5, 16),
    gpo('diloco', 5, 8),
    gpo('diloco', 5, 4),
    gpo('diloco', 4, 4),
    gpo('fedavg', 20, 8, { parts: 5 }),
    gpo('fedavg', 40, 8, { parts: 8 }),
  ],
  output: at('communication-gpo.json'),
};

const FACTOR = {
  runs: [
    factor('fedavg', 40, 16),
    factor('fedavg', 40, 8),
    factor('fedavg', 10, 16),
    factor('fedavg', 10, 8, CLIP),
    factor('fedavg', 5, 16),
    factor('fedavg', 5, 8, CLIP),
    factor('diloco', 10, 16),
    factor('diloco', 5, 16),
    factor('diloco', 5, 8, CLIP),
    factor('fedavg', 3, 8, CLIP),
    factor('diloco', 3, 8, CLIP),
  ],
  output: at('communication.json'),
};

await runOverSeeds({ ...(process.argv[2] === 'factor' ? FACTOR : GPO), seeds: [0, 1, 2], compared: [] });
