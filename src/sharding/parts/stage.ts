import { invariant } from '../../core/errors.ts';
import { GRAPH_NAMES } from '../../predictor/predictor.ts';
import { boundarySpace, innerSpaces } from './boundary-axes.ts';
import { innerKey, morphFrom } from './morph.ts';
import { Part } from './part.ts';
import { type OpenPart, openedPart, type PartOpening } from './part-opening.ts';
import { type Floats, type Frame, rowFeeds, type TaskRows } from './part-session.ts';
import { FRAME_NAMES, stageGraphs } from './stage-graphs.ts';

/** ONNX Runtime ends the process where sizes do not fit. */
function checkRows({ data, rows, width }: Frame, { context, target }: TaskRows): void {
  invariant(
    rows === context + target && data.length === rows * width,
    `${rows} rows of ${context} + ${target}`,
  );
}

/** One middle stage in one process: parameters, moments and sessions. It sees frames and how many rows are context, nothing of what they are about. */
export class Stage extends Part {
  readonly #index: number;

  private constructor(part: OpenPart, index: number) {
    super(part);
    this.#index = index;
  }

  /** Opens a stage, counted from 0. Errors: ENGINE_FAILED. */
  static async open(opening: PartOpening, index: number): Promise<Stage> {
    return new Stage(await openedPart(opening, (shape) => stageGraphs(shape, index)), index);
  }

  /** Frame [N, d] of the part before to the frame for the part after: [N, d], of the last stage [T, d]. */
  async forward(x: Frame, rows: TaskRows): Promise<Frame> {
    checkRows(x, rows);
    const { [FRAME_NAMES.output]: y } = await this.part.forward.run(
      this.part.state.forGraphs(),
      { x },
      rowFeeds(rows),
    );
    return { data: y!, rows: y!.length / x.width, width: x.width };
  }

  /** Gradients for `x` and for the parameters from that for the stage's output. */
  async differentiate(x: Frame, dy: Frame, rows: TaskRows): Promise<{ dx: Frame; gradient: Floats }> {
    checkRows(x, rows);
    const outputs = await this.part.backward.run(this.part.state.forGraphs(), { x, dy }, rowFeeds(rows));
    const dx = { ...x, data: outputs[FRAME_NAMES.inputGradient]! };
    return { dx, gradient: outputs[GRAPH_NAMES.gradient]! };
  }

  /** Adds the gradient of one task to those of the step. */
  add(gradient: Floats): void {
    this.part.state.add(gradient);
  }

  /** The gradient for `x`; that of the parameters is added to those of the step. */
  async backward(x: Frame, dy: Frame, rows: TaskRows): Promise<Frame> {
    const { dx, gradient } = await this.differentiate(x, dy, rows);
    this.add(gradient);
    return dx;
  }

  /** Folds T [d, d] into the exit, as the part after folds its inverse into its entry. */
  foldExit(rotation: Float64Array): void {
    this.part.state.turn(boundarySpace(this.#index + 1, this.part.options), rotation);
  }

  /** Folds T^-1 into the entry. */
  foldEntry(rotation: Float64Array): void {
    this.part.state.turn(boundarySpace(this.#index, this.part.options), rotation);
  }

  /** Turns all spaces inside the stage, from a key of 32 bytes that nobody else has. */
  foldInside(key: Uint8Array): void {
    for (const space of innerSpaces(this.#index, this.part.options)) {
      this.part.state.turn(space, morphFrom(innerKey(key, space), this.part.options.width));
    }
  }
}
