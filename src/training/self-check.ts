import * as ort from 'onnxruntime-node';
import { asStage } from '../core/brand.ts';
import { asPluralError, PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';
import type { Batch, Points } from '../predictor/batch.ts';
import { gpo } from '../predictor/gpo/gpo.ts';
import type { Device } from './device.ts';
import type { Engine } from './engine.ts';
import { engineFor } from './engine-for.ts';
import { ADAM_DEFAULTS } from './optimizer.ts';
import { relativeError } from './vectors.ts';

/** Relative L2 error against the CPU that a device may have. */
const TOLERANCE = 1e-4;
const FEATURE_WIDTH = 64;
const TABLE_ROWS = 44;
const OPTIONS = 4;
/** Questions on either side of the task whose steps are timed: some hundred points. */
const TIMED_QUESTIONS = 13;
/** How long steps are taken for. */
const TIMED_MS = 1500;

export interface SelfCheck {
  readonly works: boolean;
  readonly remark: string;
}

/** A task of so many context and target questions, at random. */
function taskOf(questions: number): Batch {
  const random = randomStream(0, 'self-check', questions);
  const points = (): Points => ({
    rows: Int32Array.from({ length: OPTIONS * questions }, () => random.below(TABLE_ROWS)),
    probabilities: new Float32Array(OPTIONS * questions).fill(1 / OPTIONS),
    questions: Int32Array.from({ length: OPTIONS * questions }, (_, i) => Math.floor(i / OPTIONS)),
  });
  return asStage({
    width: FEATURE_WIDTH,
    table: Float32Array.from({ length: TABLE_ROWS * FEATURE_WIDTH }, () => random.normal()),
    context: points(),
    target: points(),
  });
}

/** An engine with fresh parameters. */
async function freshEngine(device: Device, options: object): Promise<Engine> {
  const predictor = gpo.create(options, { featureWidth: FEATURE_WIDTH, rows: 0 });
  const engine = engineFor({ predictor, device, optimizer: ADAM_DEFAULTS, features: 'float32' });
  await engine.load(predictor.initialise((tensor) => randomStream(0, 'self-check', tensor)));
  await engine.begin(null);
  return engine;
}

async function gradientOn(device: Device): Promise<Float32Array> {
  const engine = await freshEngine(device, { width: 16, layers: 2, heads: 2, feedforward: 16 });
  try {
    return (await engine.gradient(taskOf(5))).gradient;
  } finally {
    await engine.close();
  }
}

/** Milliseconds of a training step of the paper's predictor on a small task, the fastest of those in a second and a half. */
export async function timedStep(device: Device): Promise<number> {
  const engine = await freshEngine(device, {});
  const task = taskOf(TIMED_QUESTIONS);
  try {
    let fastest = Number.POSITIVE_INFINITY;
    const begun = performance.now();
    do {
      const started = performance.now();
      await engine.step(task, 1e-4);
      fastest = Math.min(fastest, performance.now() - started);
    } while (performance.now() - begun < TIMED_MS);
    return fastest;
  } finally {
    await engine.close();
  }
}

/** What ONNX Runtime says behind its own source positions. */
function reasonOf(message: string): string {
  return message.slice(message.lastIndexOf('. ') + 1).trim();
}

/** Computes one small gradient on a device and holds it against the CPU; never throws. */
export async function selfCheck(device: Device): Promise<SelfCheck> {
  // A device without its driver is an answer here, not an error to be logged.
  ort.env.logLevel = 'fatal';
  try {
    const error = relativeError(await gradientOn(device), await gradientOn('cpu'));
    const remark = `gradient against the CPU: relative error ${error.toExponential(1)}`;
    return { works: error <= TOLERANCE, remark };
  } catch (thrown) {
    return { works: false, remark: reasonOf(asPluralError(thrown).message) };
  }
}

/** Finds out before anything else is done whether a device that is installed can be used. Errors: DEVICE_UNAVAILABLE. */
export async function checkDevice(device: Device): Promise<void> {
  if (device === 'cpu') return;
  const { works, remark } = await selfCheck(device);
  if (works) return;
  throw new PluralError('DEVICE_UNAVAILABLE', `device "${device}" cannot be used: ${remark}`, {
    hint: 'Run "pluralllm doctor" to see what each device needs, or use --device cpu.',
  });
}
