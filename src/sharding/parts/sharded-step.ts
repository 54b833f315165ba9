import type { Batch } from '../../predictor/batch.ts';
import { feedsOf } from '../../predictor/gpo/inputs.ts';
import type { Feeds } from '../../predictor/predictor.ts';
import type { Floats, Frame, TaskRows } from './part-session.ts';
import type { ShardedModel } from './sharded-model.ts';

function rowsOf({ context, target }: Batch): TaskRows {
  return { context: context.rows.length, target: target.rows.length };
}

/** Frames on all boundaries, from the front's to the last stage's. */
async function forward({ front, stages }: ShardedModel, batch: Batch, feeds: Feeds): Promise<Frame[]> {
  const frames = [await front.forward(feeds)];
  for (const stage of stages) frames.push(await stage.forward(frames.at(-1)!, rowsOf(batch)));
  return frames;
}

/** The loss of a task; the gradients of all parts are added to those of their steps. */
async function differentiate(model: ShardedModel, batch: Batch): Promise<number> {
  const feeds = feedsOf(batch);
  const frames = await forward(model, batch, feeds);
  const { loss, dx } = await model.head.backward(frames.at(-1)!, feeds);
  let dy = dx;
  for (const [index, stage] of [...model.stages.entries()].reverse()) {
    dy = await stage.backward(frames[index]!, dy, rowsOf(batch));
  }
  await model.front.backward(feeds, dy);
  return loss;
}

/** One step of all parts along the mean gradient of some tasks: front, stages, head and loss, and back. The mean loss before it. Errors: ENGINE_FAILED. */
export async function shardedStep(
  model: ShardedModel,
  tasks: readonly Batch[],
  learningRate: number,
): Promise<number> {
  let loss = 0;
  for (const task of tasks) loss += (await differentiate(model, task)) / tasks.length;
  for (const part of [model.front, ...model.stages, model.head]) part.step(learningRate);
  return loss;
}

/** Predicted share of each target point, [T], by the same path forward only. */
export async function shardedPredict(model: ShardedModel, batch: Batch): Promise<Floats> {
  const feeds = feedsOf(batch);
  const frames = await forward(model, batch, feeds);
  return model.head.predict(frames.at(-1)!, feeds);
}
