import { loadConfig } from '../src/config/load.ts';
import { sha256 } from '../src/core/digest.ts';
import { randomStream } from '../src/core/random.ts';
import type { Batch } from '../src/predictor/batch.ts';
import { type StagedOptions, stagedOptions } from '../src/predictor/staged/options.ts';
import { stagedLayout } from '../src/predictor/staged/parameters.ts';
import { stagedParts } from '../src/predictor/staged/parts.ts';
import { staged } from '../src/predictor/staged/staged.ts';
import { ownKey, secretStart } from '../src/sharding/keeper/secret-stage.ts';
import { LocalShardedRun } from '../src/sharding/local/run.ts';
import { openSharded, type ShardedModel } from '../src/sharding/parts/sharded-model.ts';
import { shardedStep } from '../src/sharding/parts/sharded-step.ts';
import { HostEngine } from '../src/training/host-engine.ts';
import { ADAM_DEFAULTS } from '../src/training/optimizer.ts';
import { type Benchmark, median, milliseconds, type Row } from './benchmark.ts';
import { LEARNING_RATE, Tasks } from './engine/tasks.ts';

/** About what a task of configs/sharded.yaml has: 15 questions told and 20 asked. */
const POINTS = 140;
const FEATURE_WIDTH = 144;
const TURNS = 15;
const WARM_UP = 3;

/** What is compared: the same step through keepers, in parts without them, and in one piece. */
interface Contenders {
  readonly run: LocalShardedRun;
  readonly parts: ShardedModel;
  readonly whole: HostEngine;
}

async function open(options: StagedOptions, seen: (frame: Uint8Array) => void): Promise<Contenders> {
  const predictor = staged.create(options, { featureWidth: FEATURE_WIDTH, rows: 0 });
  const parameters = predictor.initialise((tensor) => randomStream(0, tensor));
  const common = { options, featureWidth: FEATURE_WIDTH, optimizer: ADAM_DEFAULTS };
  const secretOf = (who: string) => ownKey(new Uint8Array(32), who);
  const run = await LocalShardedRun.open({
    ...common,
    run: sha256(new Uint8Array()),
    groups: ['group'],
    frames: 'float32',
    most: { context: POINTS, target: POINTS },
    leastGroups: 1,
    secretOf,
    startOf: (stage, layout) => secretStart(layout, secretOf(`keeper ${stage}`)),
    seen: (_, frame) => seen(frame),
  });
  const setup = { predictor, device: 'cpu', optimizer: ADAM_DEFAULTS, features: 'float32' } as const;
  const whole = new HostEngine(setup);
  await whole.load(parameters);
  await whole.begin(null);
  return { run, parts: await openSharded({ ...common, parameters }), whole };
}

/** Front and head that rounds start from. */
function outerOf(options: StagedOptions) {
  const { front, head } = stagedParts(stagedLayout(options, FEATURE_WIDTH), options);
  const secret = new Uint8Array(32);
  return { front: secretStart(front, secret), head: secretStart(head, secret) };
}

interface Times {
  readonly run: number[];
  readonly parts: number[];
  readonly whole: number[];
  readonly morph: number[];
}

async function timeSteps({ run, parts, whole }: Contenders, options: StagedOptions): Promise<Times> {
  const times: Times = { run: [], parts: [], whole: [], morph: [] };
  const tasks = new Tasks(FEATURE_WIDTH);
  const outer = outerOf(options);
  for (let turn = -WARM_UP; turn < TURNS; turn++) {
    const batch: Batch = tasks.halves(POINTS);
    const order = {
      round: turn + WARM_UP + 1,
      attempt: 0,
      groups: ['group'],
      learningRates: [LEARNING_RATE],
    };
    const found = {
      run: await milliseconds(() => run.train({ ...order, outer, batchOf: () => batch })),
      parts: await milliseconds(() => shardedStep(parts, [batch], LEARNING_RATE)),
      whole: await milliseconds(() => whole.step(batch, LEARNING_RATE)),
      morph: await milliseconds(() => run.morph()),
    };
    if (turn < 0) continue;
    for (const [name, list] of Object.entries(times)) list.push(found[name as keyof Times]);
  }
  return times;
}

/** Steps of one group between two morphs, and of how many groups, in the shipped configuration. */
function epochOf({ sharding, training, data }: ReturnType<typeof loadConfig>): number {
  const groups = data.groups.training;
  const count = typeof groups === 'number' ? groups : groups.length;
  return count * training.localSteps * (sharding?.epochRounds ?? 1);
}

function rowsOf(times: Times, stepBytes: number, epochSteps: number): Row[] {
  const [run, parts, whole, morph] = [times.run, times.parts, times.whole, times.morph].map(median) as [
    number,
    number,
    number,
    number,
  ];
  return [
    {
      name: 'step-vs-monolithic',
      value: run,
      unit: 'ms',
      peer: 'the whole predictor in one graph',
      ratio: run / whole,
    },
    {
      name: 'relay-overhead',
      value: run,
      unit: 'ms',
      peer: 'the same parts without frames',
      ratio: run / parts,
    },
    {
      name: 'morph-overhead',
      value: morph,
      unit: 'ms',
      peer: `the ${epochSteps} steps of an epoch of configs/sharded.yaml`,
      ratio: morph / (epochSteps * run),
    },
    { name: 'frame-bytes-per-step', value: stepBytes, unit: 'B' },
  ];
}

/** One step of one group on a task of a usual size through three keepers in one process, and a morph of them. */
export const shardingBenchmark: Benchmark = {
  name: 'sharding',
  describe: 'sharded training: a step through keepers against the whole predictor, a morph, bytes of frames',
  run: async () => {
    const config = loadConfig('configs/sharded.yaml', []);
    const { name: _, ...chosen } = config.predictor;
    const options = stagedOptions.parse(chosen);
    let bytes = 0;
    let frames = 0;
    const contenders = await open(options, (frame) => {
      bytes += frame.byteLength;
      frames++;
    });
    const times = await timeSteps(contenders, options);
    const before = bytes;
    const batch = new Tasks(FEATURE_WIDTH).halves(POINTS);
    const order = { round: 1000, attempt: 0, groups: ['group'], learningRates: [LEARNING_RATE] };
    frames = 0;
    await contenders.run.train({ ...order, outer: outerOf(options), batchOf: () => batch });
    const rows = rowsOf(times, bytes - before, epochOf(config));
    return [...rows, { name: 'frames of a step', value: frames, unit: 'frames' }];
  },
};
