import { randomStream } from '../../src/core/random.ts';
import { emitOnnx } from '../../src/graph/emit.ts';
import * as g from '../../src/graph/ops.ts';
import { gpoOptions } from '../../src/predictor/gpo/options.ts';
import { openSession } from '../../src/training/session.ts';
import { median, milliseconds, type Row } from '../benchmark.ts';
import { LEARNING_RATE, OPTIONS_PER_QUESTION, PAPER_WIDTH, paperEngine, stepFlops, Tasks } from './tasks.ts';
import type { TorchPeer } from './torch-peer.ts';

const ROOF_SIZE = 1024;
const TURNS = 31;
const WARM_UP = 3;

/** Products of large square matrices through the same runtime on one thread: what this machine can reach. */
async function openRoof(): Promise<() => Promise<number>> {
  const shape = [ROOF_SIZE, ROOF_SIZE];
  const session = await openSession(
    emitOnnx({ y: g.gemm(g.input('a', shape), g.input('b', shape)) }, { name: 'roof' }),
    'cpu',
  );
  const random = randomStream(0, 'roof');
  const matrix = () => ({
    type: 'float32' as const,
    data: Float32Array.from({ length: ROOF_SIZE ** 2 }, () => random.normal()),
    dims: shape,
  });
  const feeds = { a: matrix(), b: matrix() };
  return async () => (2 * ROOF_SIZE ** 3) / (await milliseconds(() => session.run(feeds)));
}

interface StepTimes {
  readonly step: number[];
  readonly gradient: number[];
  /** Operations per ms, measured before each step. */
  readonly roof: number[];
  readonly torch: number[];
}

async function timeSteps(points: number, width: number, torch: TorchPeer | null): Promise<StepTimes> {
  const tasks = new Tasks(width);
  const engine = await paperEngine(width);
  const roof = await openRoof();
  const times: StepTimes = { step: [], gradient: [], roof: [], torch: [] };
  await torch?.ask({ do: 'make', width, options: {}, seed: 0 });
  const peerStep = {
    do: 'steps',
    context: Math.ceil(points / 2),
    target: Math.floor(points / 2),
    options_per_question: OPTIONS_PER_QUESTION,
    steps: 1,
    optimise: true,
  };
  for (let turn = -WARM_UP; turn < TURNS; turn++) {
    const batch = tasks.halves(points);
    const roofNow = await roof();
    const step = await milliseconds(() => engine.step(batch, LEARNING_RATE));
    const gradient = await milliseconds(() => engine.differentiate(batch));
    const peer = torch === null ? [] : await torch.times(peerStep);
    if (turn < 0) continue;
    times.roof.push(roofNow);
    times.step.push(step);
    times.gradient.push(gradient);
    times.torch.push(...peer);
  }
  await engine.close();
  return times;
}

/** Times of a training step of the paper's predictor: against products of matrices on the same thread, and against PyTorch. */
export async function stepRows(points: number, width: number, torch: TorchPeer | null): Promise<Row[]> {
  const times = await timeSteps(points, width, torch);
  const flops = stepFlops(gpoOptions.parse({}), width, Math.ceil(points / 2), Math.floor(points / 2));
  const fraction = (own: readonly number[]) => median(own.map((ms, turn) => flops / ms / times.roof[turn]!));
  const name = width === PAPER_WIDTH ? `step-${points}` : `step-${points}-width-${width}`;
  const rows: Row[] = [
    { name, value: median(times.step), unit: 'ms' },
    {
      name: `${name}-roof-fraction`,
      value: fraction(times.step),
      unit: 'of the rate of large matrix products',
    },
    {
      name: `${name}-roof-fraction-without-adam`,
      value: fraction(times.gradient),
      unit: 'of the rate of large matrix products',
    },
  ];
  if (times.torch.length === 0) return rows;
  const ratio = median(times.torch.map((ms, turn) => ms / times.step[turn]!));
  rows.push({ name: `${name}-vs-torch`, value: ratio, unit: 'times as fast', peer: 'PyTorch', ratio });
  return rows;
}
