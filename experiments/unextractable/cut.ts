import { randomStream } from '../../src/core/random.ts';
import type { ShardedModel } from '../../src/sharding/parts/sharded-model.ts';
import { batchOf } from '../../src/training/batches.ts';
import { type Accomplice, meanError, type SeenAnswers, searchAnswers } from './leakage.ts';
import { rmsOf, stacked } from './matrix.ts';
import { noiseAt, noisyStep } from './noise.ts';
import { alignmentOf, type Setting, taskOf } from './setting.ts';
import { type AtTheCut, framesOf, predictThrough } from './sharded-frames.ts';
import { courseOf, inParts, STEPS, type Trained } from './trained.ts';

/** Noise at the cut, relative to the rms of the frame. */
export const DEVIATIONS: readonly number[] = [0, 0.1, 0.4, 0.8];

/** What noise at the cut costs and hides. Errors are mean distances of shares. */
export interface CutOutcome {
  readonly deviation: number;
  /** Alignment of the unseen groups: trained and asked with the noise; only asked with it; the same, on rows with an answer alone. */
  readonly trainedWith: number;
  readonly askedWith: number;
  readonly onAnswersOnly: number;
  /** Error of a keeper who knows which question a row is about, from one frame, and from as many as tell the same answer in a whole training. */
  readonly once: number;
  readonly often: number;
  /** Share of rows whose question and option it finds from one frame. */
  readonly found: number;
  /** How many frames tell the same answer. */
  readonly tellings: number;
  /** Error of whoever sees no frame: the accomplice's own answer. */
  readonly blind: number;
}

/** How often a group tells the same answer in a whole training, on average. */
function tellingsOf({ task, data }: Setting): number {
  const [least, most] = task.contextQuestions;
  return Math.round((STEPS * (least + most)) / 2 / (data.rowOf.length - 1));
}

/** One task of each training group but the first, as far as it holds answers. */
async function seenIn(setting: Setting, model: ShardedModel, cut: AtTheCut): Promise<SeenAnswers> {
  const frames = [];
  const tableRows: number[] = [];
  const shares: number[] = [];
  for (const group of setting.experiment.trainingGroups.slice(1)) {
    const task = taskOf(setting, group, 'secret');
    const { data, width } = (await framesOf(model, task, cut))[0]!;
    const rows = task.context.rows.length;
    frames.push({ data: data.subarray(0, rows * width), rows, width });
    tableRows.push(...task.context.rows);
    shares.push(...task.context.probabilities);
  }
  return {
    frames: stacked(frames),
    tableRows: Int32Array.from(tableRows),
    shares: Float32Array.from(shares),
  };
}

/** The first training group, who works with the keeper. */
function accompliceOf({ data, experiment }: Setting, { front }: ShardedModel): Accomplice {
  const all = Array.from({ length: data.rowOf.length - 1 }, (_, question) => question);
  const { target } = batchOf(data, experiment.trainingGroups[0]!, { context: [], target: all });
  return { front, features: { width: data.width, table: data.features }, ownShares: target.probabilities };
}

/** Searches frames with noise, which as many frames of the same answer average out. */
async function searched(setting: Setting, model: ShardedModel, deviation: number) {
  const { seed } = setting;
  const seen = await seenIn(setting, model, noiseAt(deviation, randomStream(seed, 'seen', deviation)));
  const clean = await seenIn(setting, model, (frame) => frame);
  const accomplice = accompliceOf(setting, model);
  const found = await searchAnswers(accomplice, seen, deviation * rmsOf(clean.frames));
  const right = found.tableRows.filter((row, i) => row === seen.tableRows[i]).length;
  const blind = Array.from(seen.tableRows, (row) => accomplice.ownShares[row]!);
  return {
    error: meanError(found.shares, seen),
    found: right / seen.shares.length,
    blind: meanError(blind, seen),
  };
}

/** Trains with noise at the cut, and looks at what the first keeper sees. Morphs change nothing of it, as its neighbour knows them: there are none. */
export async function cutOutcome(
  { setting, plainEpochs }: Pick<Trained, 'setting' | 'plainEpochs'>,
  deviation: number,
): Promise<CutOutcome> {
  const { seed } = setting;
  const { start, tasksOf, learningRateOf } = courseOf(setting, false);
  const noise = (what: string, contextOnly = false) =>
    noiseAt(deviation, randomStream(seed, 'noise', what, deviation), contextOnly);
  const alignment = (model: ShardedModel, cut: AtTheCut) =>
    alignmentOf(setting, (batch) => predictThrough(model, batch, cut));
  const asked = await inParts(setting, plainEpochs.at(-1)!, async (model) => ({
    askedWith: await alignment(model, noise('asked')),
    onAnswersOnly: await alignment(model, noise('answers', true)),
  }));
  const tellings = tellingsOf(setting);
  return inParts(setting, Float64Array.from(start), async (model) => {
    const cut = noise('training');
    for (let step = 0; step < STEPS; step++) {
      await noisyStep(model, tasksOf(step), learningRateOf(step), cut);
    }
    const trainedWith = await alignment(model, noise('asked'));
    const { error: once, found, blind } = await searched(setting, model, deviation);
    const { error: often } = await searched(setting, model, deviation / Math.sqrt(tellings));
    return { deviation, trainedWith, ...asked, once, often, found, tellings, blind };
  });
}
