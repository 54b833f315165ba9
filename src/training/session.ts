import * as ort from 'onnxruntime-node';
import { PluralError } from '../core/errors.ts';
import { giveBack } from '../core/give-back.ts';
import type { Feeds, FeedTensor } from '../predictor/predictor.ts';
import type { Device } from './device.ts';

/**
 * One thread per session: parallelism comes from workers, each with its own session, so that results do not
 * depend on how many there are. Spinning is off because waiting threads would starve the other workers.
 */
function optionsFor(device: Device): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: [device],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

/** Memory for outputs, by their names. */
export type Places = Readonly<
  Record<string, { readonly data: Float32Array; readonly dims: readonly number[] }>
>;

/** An ONNX model ready to run on one device. */
export interface GraphSession {
  /**
   * Runs once; feeds the model has no input for are left out. Outputs are copies that the caller owns; those that `into` names are
   * written there, and nowhere else.
   */
  run(feeds: Feeds, into?: Places): Promise<Readonly<Record<string, Float32Array>>>;
  close(): Promise<void>;
}

/** Opens ONNX Runtime's own session. DEVICE_UNAVAILABLE or ENGINE_FAILED with its words when it cannot. */
export async function createSession(
  model: Uint8Array,
  device: Device,
  more: ort.InferenceSession.SessionOptions = {},
): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(model, { ...optionsFor(device), ...more });
  } catch (thrown) {
    const code = device === 'cpu' ? 'ENGINE_FAILED' : 'DEVICE_UNAVAILABLE';
    throw new PluralError(code, `ONNX Runtime cannot open a session on ${device}: ${firstLine(thrown)}`, {
      hint: 'Run "pluralllm doctor" to see what this machine has, or use --device cpu.',
      cause: thrown,
    });
  }
}

/** Runs ONNX Runtime's own session; ENGINE_FAILED with its words when it fails. */
export async function runSession(
  session: ort.InferenceSession,
  tensors: Readonly<Record<string, ort.Tensor>>,
  outputs: Readonly<Record<string, ort.Tensor | null>>,
): Promise<ort.InferenceSession.ReturnType> {
  try {
    return await session.run(tensors, outputs);
  } catch (thrown) {
    throw new PluralError('ENGINE_FAILED', `ONNX Runtime failed: ${firstLine(thrown)}`, { cause: thrown });
  }
}

/** What is fed to an input. */
export function asTensor({ type, data, dims }: FeedTensor): ort.Tensor {
  return new ort.Tensor(type, data, dims);
}

/** The feed of a name; INTERNAL where there is none. */
export function feedOf(feeds: Feeds, name: string): FeedTensor {
  const feed = feeds[name];
  if (feed === undefined) throw new PluralError('INTERNAL', `nothing to feed input ${name}`);
  return feed;
}

/** Opens a session; DEVICE_UNAVAILABLE or ENGINE_FAILED with ONNX Runtime's own words when it cannot. */
export async function openSession(model: Uint8Array, device: Device): Promise<GraphSession> {
  const session = await createSession(model, device);
  return {
    run: async (feeds, into = {}) => {
      const tensors = Object.fromEntries(
        session.inputNames.map((name) => [name, asTensor(feedOf(feeds, name))]),
      );
      const outputs = Object.fromEntries(
        session.outputNames.map((name) => {
          const place = into[name];
          return [name, place === undefined ? null : new ort.Tensor('float32', place.data, place.dims)];
        }),
      );
      const results = await runSession(session, tensors, outputs);
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => {
          const copy = tensor.data as Float32Array;
          const place = into[name];
          if (place === undefined) return [name, copy];
          // ONNX Runtime filled the place and answers with a copy of it, which nobody needs.
          giveBack?.(copy.buffer);
          return [name, place.data];
        }),
      );
    },
    close: () => session.release(),
  };
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0]!;
}
