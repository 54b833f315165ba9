import { rangeLayout } from '../../src/predictor/layout.ts';
import { heldStageBridges, momentBridge, sameInputBridge } from './bridges.ts';
import { stageOf } from './fillers.ts';
import { type Matrix, stacked } from './matrix.ts';
import { tasksOfAll } from './setting.ts';
import { framesOf } from './sharded-frames.ts';
import { stitchedFrom, withExitTurned } from './shards.ts';
import { drawnEpochs } from './stitching.ts';
import { FORWARD, inParts, LATE_EPOCHS, type Outcome, outcomeOf, type Trained } from './trained.ts';

/** Frames of one epoch on each boundary. */
type BoundaryFrames = readonly Matrix[];

async function framesIn(
  { setting, epochs }: Trained,
  epoch: number,
  inputs: string,
): Promise<BoundaryFrames> {
  const { stages } = setting.options;
  const seen = await inParts(setting, epochs[epoch]!, async (model) => {
    const frames = [];
    for (const task of tasksOfAll(setting, inputs)) frames.push(await framesOf(model, task));
    return frames;
  });
  return Array.from({ length: stages + 1 }, (_, boundary) => stacked(seen.map((one) => one[boundary]!)));
}

/** Stages of different epochs, each exit turned to the epoch of the next one by a bridge. */
function bridged(
  { anatomy, epochs }: Trained,
  draw: readonly number[],
  bridgeOf: (boundary: number, from: number, to: number) => Float64Array,
): Float64Array {
  const stages = draw.map((epoch, stage) => {
    const next = draw[stage + 1];
    const shards = epochs[epoch]!;
    if (next === undefined) return shards;
    return withExitTurned(anatomy, shards, stage, bridgeOf(stage + 1, epoch, next));
  });
  return stitchedFrom(anatomy, stages);
}

/** Bridges from the frames that were seen beside the shards: of the same inputs in all epochs, or of each epoch's own. */
export async function framesOutcome(trained: Trained, same: boolean): Promise<Outcome> {
  const { score, setting, passes } = trained;
  const frames = new Map<number, BoundaryFrames>();
  for (const epoch of LATE_EPOCHS) {
    frames.set(epoch, await framesIn(trained, epoch, same ? 'all epochs' : `epoch ${epoch}`));
  }
  const bridge = same ? sameInputBridge : momentBridge;
  const scores: number[] = [];
  for (const draw of drawnEpochs(trained)) {
    const model = bridged(trained, draw, (boundary, from, to) =>
      bridge(frames.get(from)![boundary]!, frames.get(to)![boundary]!),
    );
    scores.push(await score(model));
  }
  const tasks = setting.experiment.trainingGroups.length;
  return outcomeOf(
    {
      label: same ? 'least squares on the same inputs' : 'second and third moments of different inputs',
      needs: `each stage, of different epochs, and frames of ${tasks} ${same ? 'tasks, the same ones' : 'tasks'} in each of those`,
      cost: (setting.options.stages * tasks * FORWARD) / passes,
    },
    scores,
  );
}

/** A stage held at two epochs bridges what stands before it in one and behind it in the other. */
export async function heldOutcome(trained: Trained): Promise<Outcome> {
  const { anatomy, epochs, score, setting } = trained;
  const stage = 1;
  const layout = rangeLayout(setting.predictor.layout, anatomy.ranges.stages[stage]!);
  const held = (epoch: number) => ({ layout, values: stageOf(anatomy, epochs[epoch]!, stage) });
  const scores: number[] = [];
  for (const [first, , last] of drawnEpochs(trained)) {
    const { exit } = heldStageBridges(stage, setting.options.width, held(first!), held(last!));
    const before = withExitTurned(anatomy, epochs[first!]!, stage, exit);
    scores.push(await score(stitchedFrom(anatomy, [before, before, epochs[last!]!])));
  }
  const needs = 'the first stage of one epoch, the last of another, the middle one of both';
  return outcomeOf({ label: 'one stage at two epochs', needs, cost: 0 }, scores);
}
