import * as ort from 'onnxruntime-node';
import { rowCountFeeds } from '../../predictor/gpo/inputs.ts';
import { type Feeds, GRAPH_NAMES } from '../../predictor/predictor.ts';
import { createSession, feedOf, runSession } from '../../training/session.ts';

/** What the graphs of the parts compute in: float32, or float64 to tell what is rounding from what is wrong. */
export type Precision = 'float32' | 'float64';

/** Numbers in the precision of the graphs. */
export type Floats = Float32Array | Float64Array;

/** Activations on a boundary between two parts, or their gradients, row-major [rows, width]. */
export interface Frame {
  readonly data: Floats;
  readonly rows: number;
  readonly width: number;
}

/** Points of a task: all that a stage is told of it beside frames. */
export interface TaskRows {
  readonly context: number;
  readonly target: number;
}

/** Numbers in the precision of the graphs, copied only where they are in another. */
export function inPrecision(values: Floats, precision: Precision): Floats {
  if (precision === 'float64') return values instanceof Float64Array ? values : Float64Array.from(values);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** The graph of a part, open on the CPU. */
export interface PartSession {
  /** Frames by the names of their inputs, the flat parameters, and feeds of which those are used that the graph has an input for. */
  run(
    parameters: Floats,
    frames: Readonly<Record<string, Frame>>,
    feeds: Feeds,
  ): Promise<Readonly<Record<string, Floats>>>;
  /** Names of the inputs: what the part is told. */
  readonly inputs: readonly string[];
  close(): Promise<void>;
}

/** What to feed to a stage beside frames and parameters. */
export function rowFeeds({ context, target }: TaskRows): Feeds {
  return rowCountFeeds(context, target);
}

/** Opens the graph of a part. Errors: ENGINE_FAILED. */
export async function openPart(model: Uint8Array, precision: Precision): Promise<PartSession> {
  const session = await createSession(model, 'cpu');
  const floats = (values: Floats, dims: readonly number[]) =>
    new ort.Tensor(precision, inPrecision(values, precision), dims);
  return {
    inputs: session.inputNames,
    run: async (parameters, frames, feeds) => {
      const tensorOf = (name: string) => {
        if (name === GRAPH_NAMES.parameters) return floats(parameters, [parameters.length]);
        const frame = frames[name];
        if (frame !== undefined) return floats(frame.data, [frame.rows, frame.width]);
        const { type, data, dims } = feedOf(feeds, name);
        return data instanceof Float32Array ? floats(data, dims) : new ort.Tensor(type, data, dims);
      };
      const tensors = Object.fromEntries(session.inputNames.map((name) => [name, tensorOf(name)]));
      const wanted = Object.fromEntries(session.outputNames.map((name) => [name, null]));
      const results = await runSession(session, tensors, wanted);
      return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Floats]));
    },
    close: () => session.release(),
  };
}
