import { type Feeds, GRAPH_NAMES } from '../../predictor/predictor.ts';
import { boundarySpace } from './boundary-axes.ts';
import { Part } from './part.ts';
import { type OpenPart, openedPart, type PartOpening } from './part-opening.ts';
import type { Floats, Frame } from './part-session.ts';
import { FRAME_NAMES, headGraphs } from './stage-graphs.ts';

/** The output head and the loss, which stay where the answers are. */
export class Head extends Part {
  private constructor(part: OpenPart) {
    super(part);
  }

  /** Errors: ENGINE_FAILED. */
  static async open(opening: PartOpening, featureWidth: number): Promise<Head> {
    return new Head(await openedPart(opening, (shape) => headGraphs(shape, featureWidth)));
  }

  /** One of other parameters, with fresh moments, in the same sessions: close the one that was opened. */
  fork(parameters: Floats): Head {
    return new Head({ ...this.part, state: this.part.state.fresh(parameters) });
  }

  /** Predicted share of each target point, [T], from the frame [T, d] of the last stage. */
  async predict(x: Frame, feeds: Feeds): Promise<Floats> {
    const { state, forward } = this.part;
    return (await forward.run(state.forGraphs(), { x }, feeds))[GRAPH_NAMES.probabilities]!;
  }

  /** The loss of a task and the gradient for the frame; the gradient of the parameters is added to those of the step. */
  async backward(x: Frame, feeds: Feeds): Promise<{ readonly loss: number; readonly dx: Frame }> {
    const { state, backward } = this.part;
    const outputs = await backward.run(state.forGraphs(), { x }, feeds);
    state.add(outputs[GRAPH_NAMES.gradient]!);
    return {
      loss: outputs[GRAPH_NAMES.loss]![0]!,
      dx: { ...x, data: outputs[FRAME_NAMES.inputGradient]! },
    };
  }

  /** Folds T^-1 [d, d] into the entry. */
  foldEntry(rotation: Float64Array): void {
    const { state, options } = this.part;
    state.turn(boundarySpace(options.stages, options), rotation);
  }
}
