import { GRAPH_NAMES } from '../predictor/predictor.ts';
import { boundarySpace, innerSpaces } from './boundary-axes.ts';
import { innerKey, morphFrom } from './morph.ts';
import { type OpenPart, openedPart, type PartOpening } from './part-opening.ts';
import { type Frame, rowFeeds, type TaskRows } from './part-session.ts';
import { FRAME_NAMES, stageGraphs } from './stage-graphs.ts';

/** One middle stage in one process: parameters, moments and sessions. It sees frames and how many rows are context, nothing of what they are about. */
export class Stage {
  readonly #part: OpenPart;
  readonly #index: number;

  private constructor(part: OpenPart, index: number) {
    this.#part = part;
    this.#index = index;
  }

  /** Opens a stage, counted from 0. Errors: ENGINE_FAILED. */
  static async open(opening: PartOpening, index: number): Promise<Stage> {
    return new Stage(await openedPart(opening, (shape) => stageGraphs(shape, index)), index);
  }

  /** Frame [N, d] of the part before to the frame for the part after: [N, d], of the last stage [T, d]. */
  async forward(x: Frame, rows: TaskRows): Promise<Frame> {
    const { [FRAME_NAMES.output]: y } = await this.#part.forward.run(
      this.#part.state.forGraphs(),
      { x },
      rowFeeds(rows),
    );
    return { data: y!, rows: y!.length / x.width, width: x.width };
  }

  /** The gradient for `x` from that for the stage's output; the gradient of the parameters is added to those of the step. */
  async backward(x: Frame, dy: Frame, rows: TaskRows): Promise<Frame> {
    const outputs = await this.#part.backward.run(this.#part.state.forGraphs(), { x, dy }, rowFeeds(rows));
    this.#part.state.add(outputs[GRAPH_NAMES.gradient]!);
    return { ...x, data: outputs[FRAME_NAMES.inputGradient]! };
  }

  /** A step along the mean gradient of the tasks since the last one. */
  step(learningRate: number): void {
    this.#part.state.step(learningRate);
  }

  /** Folds T [d, d] into the exit, as the part after folds its inverse into its entry. */
  foldExit(rotation: Float64Array): void {
    this.#part.state.turn(boundarySpace(this.#index + 1, this.#part.options), rotation);
  }

  /** Folds T^-1 into the entry. */
  foldEntry(rotation: Float64Array): void {
    this.#part.state.turn(boundarySpace(this.#index, this.#part.options), rotation);
  }

  /** Turns all spaces inside the stage, from a key of 32 bytes that nobody else has. */
  foldInside(key: Uint8Array): void {
    for (const space of innerSpaces(this.#index, this.#part.options)) {
      this.#part.state.turn(space, morphFrom(innerKey(key, space), this.#part.options.width));
    }
  }

  /** The parameters now, float64 [layout.size], as a copy. */
  masters(): Float64Array {
    return this.#part.state.masters();
  }

  async close(): Promise<void> {
    await Promise.all([this.#part.forward.close(), this.#part.backward.close()]);
  }
}
