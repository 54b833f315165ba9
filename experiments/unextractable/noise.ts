import type { RandomStream } from '../../src/core/random.ts';
import type { Batch } from '../../src/predictor/batch.ts';
import { feedsOf } from '../../src/predictor/gpo/inputs.ts';
import type { ShardedModel } from '../../src/sharding/parts/sharded-model.ts';
import { rmsOf } from './matrix.ts';
import { type AtTheCut, framesOf } from './sharded-frames.ts';

/** Normal noise on a frame at the cut, its deviation relative to the frame's rms; on all rows, or on those alone that have an answer in them. */
export function noiseAt(deviation: number, random: RandomStream, contextOnly = false): AtTheCut {
  return (frame, { context }) => {
    const scale = deviation * rmsOf(frame);
    const noisy = contextOnly ? context.rows.length * frame.width : frame.data.length;
    const data = Float32Array.from(frame.data, (value, i) =>
      i < noisy ? value + scale * random.normal() : value,
    );
    return { ...frame, data };
  };
}

/** A step of all parts as `shardedStep` takes it, with noise at the cut, which gradients pass as they are. */
export async function noisyStep(
  model: ShardedModel,
  tasks: readonly Batch[],
  learningRate: number,
  atTheCut: AtTheCut,
): Promise<void> {
  const { front, stages, head } = model;
  for (const task of tasks) {
    const feeds = feedsOf(task);
    const rows = { context: task.context.rows.length, target: task.target.rows.length };
    const frames = await framesOf(model, task, atTheCut);
    let { dx } = await head.backward(frames.at(-1)!, feeds);
    for (const [index, stage] of [...stages.entries()].reverse()) {
      dx = await stage.backward(frames[index]!, dx, rows);
    }
    await front.backward(feeds, dx);
  }
  for (const part of [front, ...stages, head]) part.step(learningRate);
}
