import { type Feeds, GRAPH_NAMES } from '../../predictor/predictor.ts';
import { boundarySpace } from './boundary-axes.ts';
import { Part } from './part.ts';
import { type OpenPart, openedPart, type PartOpening } from './part-opening.ts';
import type { Floats, Frame } from './part-session.ts';
import { FRAME_NAMES, frontGraphs } from './stage-graphs.ts';

/** The embedder, which stays where the data are. */
export class Front extends Part {
  private constructor(part: OpenPart) {
    super(part);
  }

  /** Errors: ENGINE_FAILED. */
  static async open(opening: PartOpening, featureWidth: number): Promise<Front> {
    return new Front(await openedPart(opening, (shape) => frontGraphs(shape, featureWidth)));
  }

  /** One of other parameters, with fresh moments, in the same sessions: close the one that was opened. */
  fork(parameters: Floats): Front {
    return new Front({ ...this.part, state: this.part.state.fresh(parameters) });
  }

  /** Feeds of a batch to the frame [N, d] for the first stage. */
  async forward(feeds: Feeds): Promise<Frame> {
    const { state, options, forward } = this.part;
    const y = (await forward.run(state.forGraphs(), {}, feeds))[FRAME_NAMES.output]!;
    return { data: y, rows: y.length / options.width, width: options.width };
  }

  /** Adds the gradient of the parameters to those of the step, from the gradient for the frame. */
  async backward(feeds: Feeds, dy: Frame): Promise<void> {
    const { state, backward } = this.part;
    state.add((await backward.run(state.forGraphs(), { dy }, feeds))[GRAPH_NAMES.gradient]!);
  }

  /** Folds T [d, d] into the exit. */
  foldExit(rotation: Float64Array): void {
    this.part.state.turn(boundarySpace(0, this.part.options), rotation);
  }
}
