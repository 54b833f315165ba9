import type { Benchmark, Row } from '../benchmark.ts';
import { adamRow } from './adam.ts';
import { evaluationRows } from './evaluation.ts';
import { memoryRows } from './memory.ts';
import { stepRows } from './steps.ts';
import { PAPER_WIDTH } from './tasks.ts';
import { TorchPeer } from './torch-peer.ts';
import { workerRows } from './workers.ts';

const SIZES = [
  { points: 442, width: PAPER_WIDTH },
  { points: 105, width: PAPER_WIDTH },
  { points: 442, width: 64 },
  { points: 105, width: 64 },
];

/** Training, evaluation and memory of the paper's predictor. */
export const engine: Benchmark = {
  name: 'engine',
  describe:
    'steps, workers, evaluation and memory of the paper-sized predictor, beside PyTorch where it is found',
  run: async () => {
    const started = await TorchPeer.start();
    const torch = typeof started === 'string' ? null : started;
    if (typeof started === 'string') process.stderr.write(`without PyTorch: ${started}\n`);
    const rows: Row[] = [];
    for (const { points, width } of SIZES) rows.push(...(await stepRows(points, width, torch)));
    torch?.stop();
    rows.push(adamRow(), ...(await workerRows()), ...(await evaluationRows()), ...memoryRows());
    return rows;
  },
};
