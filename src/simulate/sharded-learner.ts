import type { Config } from '../config/config.ts';
import { roundGroups } from '../config/round-groups.ts';
import { mostPoints } from '../config/sharded-run.ts';
import { bytesFrom } from '../core/bytes.ts';
import { digestOf } from '../core/digest.ts';
import { randomStream } from '../core/random.ts';
import type { PredictionRequest } from '../predictor/prediction.ts';
import { stagedOptions } from '../predictor/staged/options.ts';
import { cutNoise } from '../sharding/group/cut-noise.ts';
import type { Blur } from '../sharding/group/sharded-group.ts';
import { secretStart } from '../sharding/keeper/secret-stage.ts';
import { LocalShardedRun, type OuterTrained } from '../sharding/local/run.ts';
import { OuterVector } from '../sharding/parts/outer-vector.ts';
import { batchOf } from '../training/batches.ts';
import { initialModel } from '../training/initial-model.ts';
import type { WorkerSetup } from '../training/jobs.ts';
import { byQuestion } from '../training/pool-predict.ts';
import { learningRateAt } from '../training/schedule.ts';
import { joined, predictionBatches, taskOf } from '../training/tasks.ts';
import { makeModel } from '../wire/model.ts';
import type { RunContext } from './context.ts';
import { pluginsOf, setupOf } from './experiment.ts';
import { storableMemories } from './keeper-memory.ts';
import type { AskedToTrain, Learner, TrainedGroup } from './learner.ts';

type Sharding = NonNullable<Config['sharding']>;

/** Normal noise of `noise` times the root mean square of what leaves a group; from the run's seed, as all that a simulation draws. */
function noiseOf(seed: number, noise: number): (group: string) => Blur {
  return (group) =>
    cutNoise(noise, (count, at) => {
      const random = randomStream(seed, 'cut', group, at.kind, at.round, at.attempt, at.step);
      return Float64Array.from({ length: count }, () => random.normal());
    });
}

/** The secret of 32 bytes of a participant: of a simulated one it follows from the run's seed, and protects nothing. */
function simulatedSecret(seed: number, who: string): Uint8Array {
  return bytesFrom(digestOf({ seed, who, purpose: 'secret of a simulated participant' }));
}

function openRun(
  { experiment, fingerprint }: RunContext,
  { optimizer, seed }: WorkerSetup,
  sharding: Sharding,
) {
  const { config, survey, trainingGroups, unseenGroups, predictor } = experiment;
  const { protection } = pluginsOf(experiment);
  const secretOf = (who: string) => simulatedSecret(seed, who);
  return LocalShardedRun.open({
    run: fingerprint,
    options: stagedOptions.parse(predictor.options),
    featureWidth: predictor.featureWidth,
    optimizer,
    groups: [...trainingGroups, ...unseenGroups].map((group) => survey.groups[group]!.id),
    frames: sharding.frames,
    most: mostPoints(config, survey.questions),
    leastGroups: roundGroups(config, protection) - protection.trustees.length,
    secretOf,
    startOf: (stage, layout) => secretStart(layout, secretOf(`keeper ${stage}`)),
    ...(sharding.cutNoise === 0 ? {} : { blur: noiseOf(seed, sharding.cutNoise) }),
  });
}

/**
 * Groups train front and head, and the middle through keepers: in every step of a round all groups' frames go through the stages and back, and each
 * keeper takes a step along the mean of what the groups tell it. The stages keep their moments from round to round, front and head begin afresh. All of them are in this process,
 * each with nothing but its own, and exchange sealed frames.
 */
export async function shardedLearner(run: RunContext, sharding: Sharding): Promise<Learner> {
  const { experiment } = run;
  const { survey, config, predictor } = experiment;
  const { localSteps, rounds } = config.training;
  const setup = setupOf(experiment);
  const vector = new OuterVector(predictor.layout, stagedOptions.parse(predictor.options));
  const sharded = await openRun(run, setup, sharding);
  const idOf = (group: number) => survey.groups[group]!.id;

  function trainedOf(group: number, { front, head, loss, traffic }: OuterTrained): TrainedGroup {
    return { group, parameters: vector.join(front, head), loss, traffic };
  }

  async function morph(round: number): Promise<void> {
    if (await sharded.morph()) return;
    const message = `the morph before round ${round} changed what the model computes, and was taken back`;
    run.emit({ type: 'warning', message });
  }

  async function train({ groups, round, received }: AskedToTrain, consume: (one: TrainedGroup) => void) {
    if (round > 1 && (round - 1) % sharding.epochRounds === 0) await morph(round);
    const first = (round - 1) * localSteps;
    const steps = Array.from({ length: localSteps }, (_, step) => first + step);
    const indices = new Map(groups.map((group) => [idOf(group), group]));
    const trained = await sharded.train({
      round,
      attempt: 0,
      groups: [...indices.keys()],
      outer: vector.cut(received),
      learningRates: steps.map((step) => learningRateAt(step, rounds * localSteps, setup.schedule)),
      batchOf: (id, step) => {
        run.pool.checkOpen();
        const group = indices.get(id)!;
        return batchOf(setup.data, group, taskOf(setup, group, ['group', id], first + step));
      },
    });
    for (const [index, one] of trained.entries()) consume(trainedOf(groups[index]!, one));
  }

  async function predict({ group, context, targets }: PredictionRequest): Promise<Float32Array[]> {
    const parts: Float32Array[] = [];
    for (const batch of predictionBatches(setup.data, { group, context, target: targets })) {
      run.pool.checkOpen();
      parts.push(Float32Array.from(await sharded.predict(idOf(group), batch)));
    }
    return byQuestion(survey.questions, targets, joined(parts));
  }

  return {
    layout: vector.layout,
    initial: () => makeModel(0, vector.of(initialModel(predictor, config.seed).parameters)),
    train,
    predictor: (parameters) => {
      sharded.beginPredictions(vector.cut(parameters));
      return predict;
    },
    memory: () => storableMemories(sharded.memory()),
    restore: async (memories) => {
      if (memories !== null) await sharded.restore(memories);
    },
    close: () => sharded.close(),
  };
}
