import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, configDigest } from '../../src/config/config.ts';
import { configFrom } from '../../src/config/load.ts';
import type { Survey } from '../../src/data/survey.ts';
import { evaluatePredictor } from '../../src/evaluate/evaluate.ts';
import type { Predict } from '../../src/predictor/prediction.ts';
import { ownCommit } from '../../src/simulate/environment.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { runExperiment } from '../../src/simulate/run.ts';
import { groupIn, longFormat, readConversations } from './conversations.ts';

/**
 * What groups of one conversation teach about those of another: the opinion groups of all Polis conversations in a folder but one train together, those of that one
 * tell 20 votes and are predicted on statements that no other group has seen. `npx tsx experiments/polis/polis.ts FOLDER`; writes polis.json, from
 * which README.md's table is printed.
 */

const SETTINGS = `
strategy: { name: fedavg, weighting: equal }
training: { rounds: 30, localSteps: 6, schedule: warmup-cosine, warmupSteps: 24, contextQuestions: [10, 40], targetQuestions: [20, 60] }
evaluation: { every: 1000, contextQuestions: 20, draws: 5 }
`;

const SEEDS = [0, 1, 2];

/** [label, what it is trained with] */
const PREDICTORS: readonly (readonly [label: string, ...overrides: string[]])[] = [
  [
    'gpo',
    'predictor={ name: gpo, width: 64, layers: 3, heads: 4, feedforward: 64, loss: kl }',
    'training.learningRate=0.001',
  ],
  ['plural', 'predictor={ name: plural }', 'training.learningRate=0.002', 'training.weightDecay=1'],
];

/** What `polis.json` holds: alignment of the two groups of each conversation, over seeds. */
export interface PolisResult {
  readonly commit: string | null;
  readonly seeds: readonly number[];
  readonly configs: readonly string[];
  readonly conversations: readonly { readonly name: string; readonly statements: number }[];
  readonly rows: readonly { readonly label: string; readonly scores: readonly (readonly number[])[] }[];
}

/** Mean of the shares that a group told: all statements have the same three options. */
function meanToldOf({ answers }: Survey): Predict {
  return async ({ group, context, targets }) => {
    const told = answers[group]!.filter(({ question }) => context.includes(question));
    const shares = Float64Array.from({ length: 3 }, (_, option) => {
      return told.reduce((sum, { distribution }) => sum + distribution[option]!, 0) / told.length;
    });
    return targets.map(() => shares);
  };
}

/** Where the conversations lie, and where runs may write. */
interface Place {
  readonly conversations: readonly Survey[];
  readonly data: string;
  readonly scratch: string;
}

/** All conversations train but one. */
function configOf({ conversations, data }: Place, unseen: Survey, overrides: readonly string[]): Config {
  const idsOf = ({ name, groups }: Survey) => groups.map(({ id }) => groupIn(name, id));
  const training = conversations.filter((other) => other !== unseen).flatMap(idsOf);
  const groups = JSON.stringify({ training, unseen: idsOf(unseen) });
  const path = JSON.stringify(data);
  return configFrom(SETTINGS, 'polis', [
    `data={ path: ${path}, format: csv, groups: ${groups} }`,
    ...overrides,
  ]);
}

/** Alignment of the unseen groups with the mean of what they told as the prediction. */
async function meanToldScore(config: Config): Promise<number> {
  const { survey, unseenGroups } = await prepareExperiment(config, () => {});
  const { contextQuestions, draws } = config.evaluation;
  const { evaluation } = await evaluatePredictor({
    survey,
    groups: unseenGroups.map((group) => ({ group, split: 'unseen' })),
    heldOutQuestions: [],
    ...{ contextQuestions, draws, seed: config.seed },
    predict: meanToldOf(survey),
  });
  return evaluation.summaries.unseen!.mean;
}

type Scored = readonly [label: string, score: number];

/** All predictors on the groups of one conversation, with one seed. */
async function scoresOn(place: Place, unseen: Survey, seed: number, configs: Set<string>): Promise<Scored[]> {
  const folder = mkdtempSync(join(place.scratch, 'run-'));
  const scores: Scored[] = [];
  for (const [label, ...overrides] of PREDICTORS) {
    const first = scores.length === 0;
    const compared = `compare=[${first ? 'uniform' : ''}]`;
    const config = configOf(place, unseen, [`seed=${seed}`, ...overrides, compared]);
    configs.add(configDigest(config));
    const run = { folder: join(folder, label), resume: false, emit: () => {} };
    const { methods } = (await runExperiment(config, run)).record;
    const [federated, uniform] = methods.map(({ summaries }) => summaries.unseen!.mean);
    scores.push([`${label}, masked`, federated!]);
    if (first)
      scores.push(
        ['uniform', uniform!],
        ['mean of the votes that a group told', await meanToldScore(config)],
      );
  }
  return scores;
}

async function runAll(exports: string): Promise<PolisResult> {
  const conversations = await readConversations(exports);
  const scratch = mkdtempSync(join(tmpdir(), 'pluralllm-polis-'));
  const place = { conversations, scratch, data: join(scratch, 'conversations.csv') };
  const configs = new Set<string>();
  const rows = new Map<string, number[][]>();
  try {
    writeFileSync(place.data, longFormat(conversations));
    for (const [at, unseen] of conversations.entries()) {
      for (const seed of SEEDS) {
        for (const [label, score] of await scoresOn(place, unseen, seed, configs)) {
          if (!rows.has(label))
            rows.set(
              label,
              conversations.map(() => []),
            );
          rows.get(label)![at]!.push(score);
          process.stderr.write(`${unseen.name}, seed ${seed}, ${label}: ${score.toFixed(3)}\n`);
        }
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return {
    commit: ownCommit(),
    seeds: SEEDS,
    configs: [...configs],
    conversations: conversations.map(({ name, questions }) => ({ name, statements: questions.length })),
    rows: [...rows].map(([label, scores]) => ({ label, scores })),
  };
}

const [folder] = process.argv.slice(2);
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (folder === undefined) throw new Error('Which folder has the exports of Polis conversations?');
  const result = await runAll(folder);
  writeFileSync(
    fileURLToPath(new URL('polis.json', import.meta.url)),
    `${JSON.stringify(result, null, 2)}\n`,
  );
}
