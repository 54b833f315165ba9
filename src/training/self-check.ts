import * as ort from 'onnxruntime-node';
import { asStage } from '../core/brand.ts';
import { asPluralError, PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';
import type { Batch, Points } from '../predictor/batch.ts';
import { gpo } from '../predictor/gpo/gpo.ts';
import { GRAPH_NAMES, withParameters } from '../predictor/predictor.ts';
import type { Device } from './device.ts';
import { openSession } from './session.ts';
import { relativeError } from './vectors.ts';

/** Relative L2 error against the CPU that a device may have. */
const TOLERANCE = 1e-4;
const FEATURE_WIDTH = 7;
const TABLE_ROWS = 44;

export interface SelfCheck {
  readonly works: boolean;
  readonly remark: string;
}

function randomPoints(questions: number): Points {
  const random = randomStream(0, 'self-check', questions);
  const count = 4 * questions;
  return {
    rows: Int32Array.from({ length: count }, () => random.below(TABLE_ROWS)),
    probabilities: new Float32Array(count).fill(0.25),
    questions: Int32Array.from({ length: count }, (_, index) => Math.floor(index / 4)),
  };
}

async function gradientOn(device: Device): Promise<Float32Array> {
  const predictor = gpo.create({ width: 16, layers: 2, heads: 2, feedforward: 16 }, FEATURE_WIDTH);
  const random = randomStream(0, 'self-check');
  const batch: Batch = asStage({
    width: FEATURE_WIDTH,
    table: Float32Array.from({ length: TABLE_ROWS * FEATURE_WIDTH }, () => random.normal()),
    context: randomPoints(5),
    target: randomPoints(6),
  });
  const parameters = predictor.initialise((tensor) => randomStream(0, 'self-check', tensor));
  const session = await openSession(predictor.trainingGraph(), device);
  try {
    const outputs = await session.run(withParameters(predictor.feeds(batch), parameters));
    return outputs[GRAPH_NAMES.gradient]!;
  } finally {
    await session.close();
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
