import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sameInputBridge } from '../../experiments/unextractable/bridges.ts';
import { trainedEpochs } from '../../experiments/unextractable/epochs.ts';
import { filledWith, identityStage, meanStage, stageOf } from '../../experiments/unextractable/fillers.ts';
import { type Matrix, stacked } from '../../experiments/unextractable/matrix.ts';
import { framesOf } from '../../experiments/unextractable/sharded-frames.ts';
import { anatomyOf, stitchedFrom, withExitTurned } from '../../experiments/unextractable/shards.ts';
import { alignmentScore } from '../../src/evaluate/alignment.ts';
import { meanOf } from '../../src/evaluate/group-scores.ts';
import type { Batch } from '../../src/predictor/batch.ts';
import type { Floats } from '../../src/sharding/parts/part-session.ts';
import { closeSharded, openSharded } from '../../src/sharding/parts/sharded-model.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { FEATURE_WIDTH, openWhole, startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

/**
 * Shards of different epochs of a small trained model, put together: worth nothing where boundaries are morphed, and all of it for whoever has frames of
 * the same inputs beside them. What a larger one on real answers comes to is in experiments/unextractable.
 */

const options = tinyStaged({ width: 16, feedforward: 16 });
const anatomy = anatomyOf(options, FEATURE_WIDTH);
const EPOCHS = 8;
const STEPS_PER_EPOCH = 75;
/** Epochs after which little changes. */
const LATE = [5, 6, 7] as const;
/** Above uniform answers, at most. */
const NEAR = 0.05;

const unseen = tinyTasks(12, 9);
const all = tinyTasks(EPOCHS * STEPS_PER_EPOCH);

/** Mean alignment over the questions of a task. */
function alignmentOf({ target }: Batch, predicted: Floats): number {
  const own = (values: Floats, question: number) =>
    Float64Array.from(values).filter((_, i) => target.questions[i] === question);
  const scores = [...new Set(target.questions)].map((question) =>
    alignmentScore(own(predicted, question), own(target.probabilities, question)),
  );
  return meanOf(scores);
}

function uniform({ target: { questions } }: Batch): Float64Array {
  return Float64Array.from(questions, (question) => 1 / questions.filter((one) => one === question).length);
}

function epochsOf(morphs: boolean): Promise<Float64Array[]> {
  return trainedEpochs({
    ...{ options, featureWidth: FEATURE_WIDTH, start: startOf(options), seed: 5, morphs },
    ...{ epochs: EPOCHS, stepsPerEpoch: STEPS_PER_EPOCH },
    tasksOf: (step) => [all[step]!],
    learningRateOf: (step) => 0.01 * Math.min(1, 2 - (2 * step) / all.length),
  });
}

/** Which late epoch each stage is of. */
const ORDERS = [
  [5, 6, 7],
  [5, 7, 6],
  [6, 5, 7],
  [6, 7, 5],
  [7, 5, 6],
  [7, 6, 5],
] as const;
type Epochs = readonly Float64Array[];

function stitched(epochs: Epochs): Float64Array[] {
  return ORDERS.map((order) =>
    stitchedFrom(
      anatomy,
      order.map((epoch) => epochs[epoch]!),
    ),
  );
}

/** Every stage of every late epoch in turn with something in its place. */
function filled(epochs: Epochs, fillerOf: (stage: number, epoch: number) => Float64Array): Float64Array[] {
  return LATE.flatMap((epoch) =>
    [0, 1, 2].map((stage) => filledWith(anatomy, epochs[epoch]!, stage, fillerOf(stage, epoch))),
  );
}

/** Frames of the same tasks on all boundaries, in one epoch. */
async function framesIn(parameters: Float64Array): Promise<readonly Matrix[]> {
  const setup = { options, featureWidth: FEATURE_WIDTH, parameters, optimizer: ADAM_DEFAULTS };
  const model = await openSharded(setup);
  const seen: (readonly Matrix[])[] = [];
  for (const task of all.slice(0, 5)) seen.push(await framesOf(model, task));
  await closeSharded(model);
  return [0, 1, 2, 3].map((boundary) => stacked(seen.map((frames) => frames[boundary]!)));
}

describe('shards of a trained model', () => {
  let whole: Awaited<ReturnType<typeof openWhole>>;
  let morphed: Epochs;
  let plain: Epochs;
  const chance = meanOf(unseen.map((task) => alignmentOf(task, uniform(task))));
  /** Mean alignment of some models on the unseen tasks. */
  const scoreOf = async (models: Epochs) => {
    const scores: number[] = [];
    for (const model of models) {
      for (const task of unseen) scores.push(alignmentOf(task, await whole.predict(model, task)));
    }
    return meanOf(scores);
  };
  const trained = (epochs: Epochs) => scoreOf(LATE.map((epoch) => epochs[epoch]!));
  beforeAll(async () => {
    whole = await openWhole(options);
    [morphed, plain] = [await epochsOf(true), await epochsOf(false)];
  });
  afterAll(() => whole.close());

  test('that are of one epoch predict, morphs or not', async () => {
    expect(await trained(morphed)).toBeGreaterThan(chance + 0.15);
    expect(await trained(plain)).toBeGreaterThan(chance + 0.15);
  });

  test('stitched from different epochs are near chance with morphs, and all of the model without', async () => {
    expect(await scoreOf(stitched(morphed))).toBeLessThan(chance + NEAR);
    expect(await scoreOf(stitched(plain))).toBeGreaterThan((await trained(plain)) - 0.02);
  });

  test('but one, with the identity in its place, are near chance with morphs, and not without', async () => {
    const identity = (stage: number) => identityStage(anatomy, FEATURE_WIDTH, stage);
    expect(await scoreOf(filled(morphed, identity))).toBeLessThan(chance + NEAR);
    expect(await scoreOf(filled(plain, identity))).toBeGreaterThan(chance + 2 * NEAR);
  });

  test('but one, with its mean over other epochs in its place, are near chance with morphs, and all of the model without', async () => {
    const meanOfOthers = (epochs: Epochs) => (stage: number, epoch: number) =>
      meanStage(LATE.filter((one) => one !== epoch).map((one) => stageOf(anatomy, epochs[one]!, stage)));
    expect(await scoreOf(filled(morphed, meanOfOthers(morphed)))).toBeLessThan(chance + NEAR);
    expect(await scoreOf(filled(plain, meanOfOthers(plain)))).toBeGreaterThan((await trained(plain)) - 0.02);
  });

  test('stitched with frames of the same inputs in each epoch are all of the model', async () => {
    const frames = new Map<number, readonly Matrix[]>();
    for (const epoch of LATE) frames.set(epoch, await framesIn(morphed[epoch]!));
    const bridged = ORDERS.map((order) => {
      const stages = order.map((epoch, stage) => {
        const next = order[stage + 1];
        if (next === undefined) return morphed[epoch]!;
        const boundary = stage + 1;
        const bridge = sameInputBridge(frames.get(epoch)![boundary]!, frames.get(next)![boundary]!);
        return withExitTurned(anatomy, morphed[epoch]!, stage, bridge);
      });
      return stitchedFrom(anatomy, stages);
    });
    expect(await scoreOf(bridged)).toBeGreaterThan((await trained(morphed)) - 0.02);
  });
});
