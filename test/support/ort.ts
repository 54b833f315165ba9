import * as ort from 'onnxruntime-node';

export type Feed = Readonly<Record<string, ort.Tensor>>;

/** Runs an ONNX model once on the CPU and gives its outputs as plain arrays. */
export async function runOnce(model: Uint8Array, feeds: Feed): Promise<Record<string, Float64Array>> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const results = await session.run({ ...feeds });
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [
        name,
        Float64Array.from(tensor.data as Float32Array, Number),
      ]),
    );
  } finally {
    await session.release();
  }
}

export { ort };
