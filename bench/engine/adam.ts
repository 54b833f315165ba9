import { randomStream } from '../../src/core/random.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import { ADAM_DEFAULTS, adamStep, freshAdam } from '../../src/training/optimizer.ts';
import { ParameterMemory } from '../../src/training/parameter-memory.ts';
import { median, type Row } from '../benchmark.ts';
import { LEARNING_RATE, PAPER_WIDTH } from './tasks.ts';

const TURNS = 31;

/** A step of Adam on the paper's predictor, on vector instructions and in JavaScript. */
export function adamRow(): Row {
  const { size } = gpo.create({}, { featureWidth: PAPER_WIDTH, rows: 0 }).layout;
  const random = randomStream(0, 'bench adam');
  const gradient = Float32Array.from({ length: size }, () => random.normal());
  const [memory, parameters, state] = [new ParameterMemory(size), new Float32Array(size), freshAdam(size)];
  memory.begin(null);
  memory.gradient.set(gradient);
  const times: { kernel: number[]; loop: number[] } = { kernel: [], loop: [] };
  for (let turn = 0; turn < TURNS; turn++) {
    let started = performance.now();
    memory.step(LEARNING_RATE, ADAM_DEFAULTS);
    times.kernel.push(performance.now() - started);
    started = performance.now();
    adamStep(parameters, gradient, state, LEARNING_RATE);
    times.loop.push(performance.now() - started);
  }
  const ratio = median(times.loop.map((ms, turn) => ms / times.kernel[turn]!));
  return {
    name: 'adam-vs-javascript',
    value: median(times.kernel),
    unit: 'ms',
    peer: 'the loop in JavaScript',
    ratio,
  };
}
