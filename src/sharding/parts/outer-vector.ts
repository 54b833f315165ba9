import type { ParameterLayout } from '../../predictor/layout.ts';
import type { StagedOptions } from '../../predictor/staged/options.ts';
import { outerLayout, stageRanges } from '../../predictor/staged/parts.ts';

/** Front and head of a staged predictor in one vector: what groups hold, and average in rounds. */
export class OuterVector {
  readonly layout: ParameterLayout;
  readonly #ranges;

  /** `whole`: the layout of the predictor with its stages. */
  constructor(whole: ParameterLayout, options: Pick<StagedOptions, 'stages'>) {
    this.layout = outerLayout(whole, options);
    this.#ranges = stageRanges(whole, options);
  }

  /** That of a whole predictor's parameters. */
  of(whole: Float32Array): Float32Array {
    const { front, head } = this.#ranges;
    return this.join(whole.subarray(front.start, front.end), whole.subarray(head.start, head.end));
  }

  join(front: ArrayLike<number>, head: ArrayLike<number>): Float32Array {
    const outer = new Float32Array(this.layout.size);
    outer.set(front);
    outer.set(head, front.length);
    return outer;
  }

  cut(outer: Float32Array): { readonly front: Float32Array; readonly head: Float32Array } {
    const { end } = this.#ranges.front;
    return { front: outer.subarray(0, end), head: outer.subarray(end) };
  }
}
