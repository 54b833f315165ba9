import { randomStream } from '../../src/core/random.ts';
import { shardedStep } from '../../src/sharding/parts/sharded-step.ts';
import { filledWith, stageOf } from './fillers.ts';
import { type FramePair, fittedStages } from './fit-stage.ts';
import { queriesOf } from './queries.ts';
import { alignmentOf, tasksOfAll } from './setting.ts';
import { framesOf } from './sharded-frames.ts';
import { shardsOf, stitchedFrom } from './shards.ts';
import { drawnEpochs } from './stitching.ts';
import {
  FORWARD,
  inParts,
  type Outcome,
  openEngine,
  outcomeOf,
  startOf,
  TRAINING,
  type Trained,
} from './trained.ts';

/** The stage between two neighbours. */
const MIDDLE = 1;
const FIT = { learningRate: 0.003, passes: [0, 160, 640, 1280] } as const;
const DISTIL = { learningRate: 0.003, passes: 420, queries: [1, 4, 16, 64] } as const;
const TUNE = { learningRate: 0.003, warmupSteps: 5, steps: [6, 12, 24, 48] } as const;

/** Rate of a step of `total` that falls to nothing. */
const falling = (rate: number, step: number, total: number) => rate * Math.min(1, 2 - (2 * step) / total);

/** Neighbours of a stage in the last epoch fit one of their own to the frames that they saw in it. */
export async function neighboursOutcomes(trained: Trained): Promise<Outcome[]> {
  const { anatomy, epochs, setting, featureWidth, passes: training, score } = trained;
  const last = epochs.at(-1)!;
  const pairs = await inParts(setting, last, async (model) => {
    const seen: FramePair[] = [];
    for (let step = 0; step < TRAINING.stepsPerEpoch; step++) {
      for (const task of tasksOfAll(setting, 'seen', step)) {
        const frames = await framesOf(model, task);
        const rows = { context: task.context.rows.length, target: task.target.rows.length };
        seen.push({ input: frames[MIDDLE]!, output: frames[MIDDLE + 1]!, rows });
      }
    }
    return seen;
  });
  const start = stageOf(anatomy, startOf(setting, 'the neighbours'), MIDDLE);
  const random = randomStream(setting.seed, 'fit');
  const { learningRate, passes } = FIT;
  const fits = fittedStages(
    { anatomy, featureWidth, stage: MIDDLE, pairs, start, learningRate, random },
    passes,
  );
  const outcomes: Outcome[] = [];
  for await (const { passes: done, values } of fits) {
    const share = start.length / last.length;
    const how = done === 0 ? 'a rotation alone' : `${done} passes of the stage`;
    outcomes.push(
      outcomeOf(
        {
          label: `neighbours fit the stage between them, ${how}`,
          needs: `the other stages of one epoch, and frames of its ${pairs.length} tasks`,
          cost: (done * share) / training,
        },
        [await score(filledWith(anatomy, last, MIDDLE, values))],
      ),
    );
  }
  return outcomes;
}

/** A student of the same kind on the model's answers to made-up groups. */
export async function distilledOutcomes({
  setting,
  engine,
  epochs,
  passes: training,
}: Trained): Promise<Outcome[]> {
  await engine.load(Float32Array.from(epochs.at(-1)!));
  const { learningRate, passes, queries: counts } = DISTIL;
  const queries = await queriesOf(setting, (batch) => engine.predict(batch), counts.at(-1)!);
  const outcomes: Outcome[] = [];
  for (const count of counts) {
    const student = openEngine(setting);
    await student.load(Float32Array.from(startOf(setting, 'the student')));
    await student.begin(null);
    const random = randomStream(setting.seed, 'distil', count);
    for (let pass = 0; pass < passes; pass++) {
      await student.step(queries[random.below(count)]!, falling(learningRate, pass, passes));
    }
    const score = await alignmentOf(setting, (batch) => student.predict(batch));
    await student.close();
    outcomes.push(
      outcomeOf(
        {
          label: `distillation, ${count} ${count === 1 ? 'query' : 'queries'} of made-up answers`,
          needs: 'answers of the model to questions whose features are public',
          cost: (count * FORWARD + passes) / training,
        },
        [score],
      ),
    );
  }
  return outcomes;
}

/** All groups train on from something: stitched shards, all stages but one, or nothing. */
export async function tunedOutcomes(trained: Trained): Promise<Outcome[]> {
  const { anatomy, setting, epochs, score, passes: training } = trained;
  const [draw] = drawnEpochs(trained);
  const fresh = startOf(setting, 'the tuners');
  const stitched = stitchedFrom(
    anatomy,
    draw!.map((epoch) => epochs[epoch]!),
  );
  const filled = filledWith(anatomy, epochs.at(-1)!, MIDDLE, stageOf(anatomy, fresh, MIDDLE));
  const starts = [
    ['stitched shards', 'each stage, of different epochs, and all data', stitched],
    ['all stages but one', 'all stages but one, and all data', filled],
    ['nothing', 'all data', fresh],
  ] as const;
  const { learningRate, warmupSteps, steps } = TUNE;
  const outcomes: Outcome[] = [];
  for (const [from, needs, start] of starts) {
    await inParts(setting, start, async (model) => {
      for (let step = 0; step < steps.at(-1)!; step++) {
        const tasks = tasksOfAll(setting, 'tune', step);
        await shardedStep(model, tasks, learningRate * Math.min(1, (step + 1) / warmupSteps));
        const done = step + 1;
        if (!steps.some((wanted) => wanted === done)) continue;
        const label = `training on from ${from}, ${done} steps`;
        const cost = (done * tasks.length) / training;
        outcomes.push(outcomeOf({ label, needs, cost }, [await score(shardsOf(model))]));
      }
    });
  }
  return outcomes;
}
