import * as ort from 'onnxruntime-node';
import { PluralError } from '../core/errors.ts';
import type { Feeds } from '../predictor/predictor.ts';
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

/** An ONNX model ready to run on one device. */
export interface GraphSession {
  /** Runs once; feeds the model has no input for are left out. Outputs are copies that the caller owns. */
  run(feeds: Feeds): Promise<Readonly<Record<string, Float32Array>>>;
  close(): Promise<void>;
}

/** Opens a session; DEVICE_UNAVAILABLE or ENGINE_FAILED with ONNX Runtime's own words when it cannot. */
export async function openSession(model: Uint8Array, device: Device): Promise<GraphSession> {
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(model, optionsFor(device));
  } catch (thrown) {
    const code = device === 'cpu' ? 'ENGINE_FAILED' : 'DEVICE_UNAVAILABLE';
    throw new PluralError(code, `ONNX Runtime cannot open a session on ${device}: ${firstLine(thrown)}`, {
      hint: 'Run "pluralllm doctor" to see what this machine has, or use --device cpu.',
      cause: thrown,
    });
  }
  return {
    run: async (feeds) => {
      const tensors: Record<string, ort.Tensor> = {};
      for (const name of session.inputNames) {
        const feed = feeds[name];
        if (feed === undefined) throw new PluralError('INTERNAL', `nothing to feed input ${name}`);
        tensors[name] = new ort.Tensor(feed.type, feed.data, feed.dims);
      }
      try {
        const results = await session.run(tensors);
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]) => [name, tensor.data as Float32Array]),
        );
      } catch (thrown) {
        throw new PluralError('ENGINE_FAILED', `ONNX Runtime failed: ${firstLine(thrown)}`, {
          cause: thrown,
        });
      }
    },
    close: () => session.release(),
  };
}

function firstLine(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0]!;
}
