import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { groupMeanBaseline } from '../../src/predictor/baselines/group-mean.ts';
import { uniformBaseline } from '../../src/predictor/baselines/uniform.ts';
import { ownCommit } from '../../src/simulate/environment.ts';
import { framesOutcome, heldOutcome } from './bridging.ts';
import { type CutOutcome, cutOutcome, DEVIATIONS } from './cut.ts';
import { distilledOutcomes, neighboursOutcomes, tunedOutcomes } from './retraining.ts';
import { MODEL, scoreOf } from './setting.ts';
import { filledOutcomes, stitchedOutcome } from './stitching.ts';
import { type Outcome, outcomeOf, startOf, TRAINING, type Trained, trainOn } from './trained.ts';

/**
 * What shards of different epochs are worth, which attacks get the model all the same and what they cost, and what the cut tells of answers: the
 * staged transformer on the groups of the quickstart. Run with tsx; writes unextractable.json, from which README.md's tables are printed.
 */

/** One row over the seeds. */
export interface AttackRow extends Pick<Outcome, 'label' | 'needs' | 'cost'> {
  readonly scores: readonly number[];
  /** Highest score of a draw, by seed. */
  readonly highest: readonly number[];
}

/** What is written as JSON. */
export interface Unextractable {
  readonly commit: string | null;
  readonly seeds: readonly number[];
  readonly model: typeof MODEL;
  readonly training: typeof TRAINING;
  /** Task passes of the training, of which costs are shares. */
  readonly passes: number;
  /** Score of uniform answers, by seed. */
  readonly chance: readonly number[];
  readonly rows: readonly AttackRow[];
  /** By deviation, then by seed. */
  readonly cut: readonly (readonly CutOutcome[])[];
}

/** Predictors that are no attack, and the model itself. */
async function references(trained: Trained): Promise<Outcome[]> {
  const { setting, score, epochs, plainEpochs } = trained;
  const { survey, trainingGroups, heldOutQuestions } = setting.experiment;
  const baseline = async ({ create }: typeof uniformBaseline) =>
    scoreOf(setting, create(survey, trainingGroups, heldOutQuestions));
  return [
    outcomeOf({ label: 'chance: uniform answers', needs: 'nothing' }, [await baseline(uniformBaseline)]),
    outcomeOf({ label: 'the untrained network', needs: 'nothing' }, [
      await score(startOf(setting, 'the keepers')),
    ]),
    outcomeOf({ label: 'mean of the training groups', needs: 'the sum of all answers to each question' }, [
      await baseline(groupMeanBaseline),
    ]),
    outcomeOf({ label: 'the trained model', needs: 'all stages of one epoch' }, [
      await score(epochs.at(-1)!),
    ]),
    outcomeOf({ label: 'the trained model, no morphs', needs: 'all stages' }, [
      await score(plainEpochs.at(-1)!),
    ]),
  ];
}

async function outcomesOf(trained: Trained): Promise<Outcome[]> {
  return [
    ...(await references(trained)),
    await stitchedOutcome(trained, true),
    await stitchedOutcome(trained, false),
    ...(await filledOutcomes(trained, true)),
    ...(await filledOutcomes(trained, false)),
    await framesOutcome(trained, true),
    await framesOutcome(trained, false),
    await heldOutcome(trained),
    ...(await neighboursOutcomes(trained)),
    ...(await distilledOutcomes(trained)),
    ...(await tunedOutcomes(trained)),
  ];
}

async function measure(seed: number) {
  const trained = await trainOn(seed);
  const outcomes = await outcomesOf(trained);
  for (const { label, score } of outcomes) process.stderr.write(`${seed} ${score.toFixed(4)} ${label}\n`);
  const cut: CutOutcome[] = [];
  for (const deviation of DEVIATIONS) {
    cut.push(await cutOutcome(trained, deviation));
    process.stderr.write(`${seed} ${JSON.stringify(cut.at(-1))}\n`);
  }
  await trained.engine.close();
  return { outcomes, cut, passes: trained.passes };
}

/** The code that is measured: files may change while it runs. */
const commit = ownCommit();
const { values } = parseArgs({ options: { seeds: { type: 'string', default: '3' } } });
const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed);
const measured: Awaited<ReturnType<typeof measure>>[] = [];
for (const seed of seeds) measured.push(await measure(seed));
const [first] = measured;
if (first === undefined) throw new Error('at least one seed');
const rows = first.outcomes.map(({ label, needs, cost }, row) => ({
  ...{ label, needs, cost },
  scores: measured.map(({ outcomes }) => outcomes[row]!.score),
  highest: measured.map(({ outcomes }) => outcomes[row]!.highest),
}));
const result: Unextractable = {
  ...{ commit, seeds, model: MODEL, training: TRAINING, passes: first.passes },
  chance: rows[0]!.scores,
  rows,
  cut: DEVIATIONS.map((_, index) => measured.map(({ cut }) => cut[index]!)),
};
writeFileSync(
  fileURLToPath(new URL('unextractable.json', import.meta.url)),
  `${JSON.stringify(result, null, 2)}\n`,
);
