import type { Feeds } from '../../src/predictor/predictor.ts';
import { ort } from './ort.ts';

/** An ONNX model opened once and run often, in float32 or float64, outputs as plain numbers. */
export interface TestSession {
  run(feeds: Feeds, parameters: Float32Array | Float64Array): Promise<Record<string, Float64Array>>;
  close(): Promise<void>;
}

/** Opens a model on the CPU. With `float64`, float32 feeds are widened. */
export async function openGraph(
  model: Uint8Array,
  precision: 'float32' | 'float64' = 'float32',
): Promise<TestSession> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const floats = (data: Float32Array | Float64Array, dims: readonly number[]) =>
    precision === 'float64'
      ? new ort.Tensor('float64', Float64Array.from(data), dims)
      : new ort.Tensor('float32', Float32Array.from(data), dims);
  return {
    run: async (feeds, parameters) => {
      const all = {
        ...feeds,
        parameters: { type: 'float32' as const, data: parameters, dims: [parameters.length] },
      };
      const tensors = Object.entries(all)
        .filter(([name]) => session.inputNames.includes(name))
        .map(([name, { type, data, dims }]) => [
          name,
          data instanceof Float32Array || data instanceof Float64Array
            ? floats(data, dims)
            : new ort.Tensor(type, data, dims),
        ]);
      const results = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(
        Object.entries(results).map(([name, { data }]) => [
          name,
          Float64Array.from(data as Float32Array, Number),
        ]),
      );
    },
    close: () => session.release(),
  };
}
