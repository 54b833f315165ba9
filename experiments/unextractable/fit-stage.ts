import type { RandomStream } from '../../src/core/random.ts';
import { entryOf, rangeLayout } from '../../src/predictor/layout.ts';
import { layerName, stagedLayout } from '../../src/predictor/staged/parameters.ts';
import type { Frame, TaskRows } from '../../src/sharding/parts/part-session.ts';
import { Stage } from '../../src/sharding/parts/stage.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { sameInputBridge } from './bridges.ts';
import { stacked } from './matrix.ts';
import type { Anatomy } from './shards.ts';

/** What both neighbours of a stage see of a task. */
export interface FramePair {
  readonly input: Frame;
  readonly output: Frame;
  readonly rows: TaskRows;
}

/** Pairs of a step. */
const PAIRS = 8;

export interface StageFit {
  readonly anatomy: Anatomy;
  readonly featureWidth: number;
  /** The stage between the two, which is not the last. */
  readonly stage: number;
  readonly pairs: readonly FramePair[];
  /** The attackers' own draw of such a stage, [size of the stage]. */
  readonly start: Float64Array;
  readonly learningRate: number;
  readonly random: RandomStream;
}

/** Half the gradient of the squared error of each number. */
function errorOf(found: Frame, wanted: Frame): Frame {
  const scale = 1 / found.data.length;
  return { ...found, data: Float32Array.from(found.data, (value, i) => scale * (value - wanted.data[i]!)) };
}

/**
 * A stage of the same kind fitted to the frames of its neighbours by gradient steps on the squared error. The first skip starts as the rotation that takes
 * inputs nearest to outputs, for it is frozen. Yields the fitted stage at each of the given numbers of passes, rising.
 */
export async function* fittedStages(
  fit: StageFit,
  passes: readonly number[],
): AsyncGenerator<{ readonly passes: number; readonly values: Float64Array }> {
  const { anatomy, featureWidth, stage: index, pairs, random, learningRate } = fit;
  const { options, ranges } = anatomy;
  const layout = rangeLayout(stagedLayout(options, featureWidth), ranges.stages[index]!);
  const parameters = fit.start.slice();
  const [inputs, outputs] = [pairs.map(({ input }) => input), pairs.map(({ output }) => output)];
  const { offset } = entryOf(layout, `${layerName(index, 0)}.skip1`);
  parameters.set(sameInputBridge(stacked(inputs), stacked(outputs)), offset);
  const stage = await Stage.open({ options, layout, parameters, optimizer: ADAM_DEFAULTS }, index);
  let done = 0;
  for (const wanted of passes) {
    for (; done < wanted; done += PAIRS) {
      for (let i = 0; i < PAIRS; i++) {
        const { input, output, rows } = pairs[random.below(pairs.length)]!;
        await stage.backward(input, errorOf(await stage.forward(input, rows), output), rows);
      }
      stage.step(learningRate * Math.min(1, 2 - (2 * done) / passes.at(-1)!));
    }
    yield { passes: done, values: stage.masters() };
  }
  await stage.close();
}
