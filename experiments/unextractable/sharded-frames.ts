import type { Batch } from '../../src/predictor/batch.ts';
import { feedsOf } from '../../src/predictor/gpo/inputs.ts';
import type { Floats, Frame } from '../../src/sharding/parts/part-session.ts';
import type { ShardedModel } from '../../src/sharding/parts/sharded-model.ts';

/** What happens to the front's frame on its way to the first stage. */
export type AtTheCut = (frame: Frame, batch: Batch) => Frame;

/** Frames on all boundaries of a task, from the front's, as the first stage gets it, to the last stage's. Errors: ENGINE_FAILED. */
export async function framesOf(
  { front, stages }: ShardedModel,
  batch: Batch,
  atTheCut: AtTheCut = (frame) => frame,
): Promise<Frame[]> {
  const rows = { context: batch.context.rows.length, target: batch.target.rows.length };
  const frames = [atTheCut(await front.forward(feedsOf(batch)), batch)];
  for (const stage of stages) frames.push(await stage.forward(frames.at(-1)!, rows));
  return frames;
}

/** Predicted share of each target point, [T], with something done to the frame at the cut. */
export async function predictThrough(model: ShardedModel, batch: Batch, atTheCut: AtTheCut): Promise<Floats> {
  const frames = await framesOf(model, batch, atTheCut);
  return model.head.predict(frames.at(-1)!, feedsOf(batch));
}
