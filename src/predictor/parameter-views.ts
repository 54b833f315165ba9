import { invariant } from '../core/errors.ts';
import { gradients } from '../graph/gradient.ts';
import type { Node } from '../graph/node.ts';
import * as g from '../graph/ops.ts';
import { entryOf, type ParameterLayout } from './layout.ts';
import { GRAPH_NAMES } from './predictor.ts';

interface View {
  readonly offset: number;
  readonly size: number;
  readonly node: Node;
  /** The loss does not depend on it, so its gradient is written as exact zeros. */
  readonly frozen: boolean;
}

type RowRange = readonly [start: number, end: number];

/**
 * Tensors read out of one flat parameter input. It remembers what was read, so that the gradient can be
 * written back as one flat vector in the same order: that vector is also the federated update.
 */
export class ParameterViews {
  readonly input: Node;
  readonly #layout: ParameterLayout;
  readonly #views = new Map<string, View>();

  constructor(layout: ParameterLayout) {
    this.#layout = layout;
    this.input = g.input(GRAPH_NAMES.parameters, [layout.size]);
  }

  /** A whole tensor, or some of its rows (rows of a row-major tensor are adjacent in the flat vector). */
  tensor(name: string, rows?: RowRange): Node {
    return this.#view(name, rows, false);
  }

  /**
   * The same for parameters that cannot change the loss. Rounding would give them gradients of 1e-9 instead
   * of 0, which Adam's division by their own size would turn into steps in a random direction.
   */
  frozen(name: string, rows?: RowRange): Node {
    return g.detach(this.#view(name, rows, true));
  }

  #view(name: string, rows: RowRange | undefined, frozen: boolean): Node {
    const key = rows === undefined ? name : `${name}:${rows.join('-')}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known.node;
    const entry = entryOf(this.#layout, name);
    const rowSize = entry.size / entry.shape[0]!;
    const [start, end] = rows ?? [0, entry.shape[0]!];
    const offset = entry.offset + start * rowSize;
    const size = (end - start) * rowSize;
    const flat = g.slice(this.input, 0, offset, offset + size);
    const node = g.reshape(flat, [end - start, ...entry.shape.slice(1)]);
    this.#views.set(key, { offset, size, node, frozen });
    return node;
  }

  /** Gradient of a loss for the whole flat vector, float32 [layout.size]. */
  gradientOf(loss: Node): Node {
    const views = [...this.#views.values()].sort((a, b) => a.offset - b.offset);
    let covered = 0;
    for (const view of views) {
      invariant(view.offset === covered, `parameters from ${covered} on are not read, or read twice`);
      covered += view.size;
    }
    invariant(covered === this.#layout.size, `parameters from ${covered} on are not read`);
    const trained = views.filter((view) => !view.frozen);
    const found = gradients(
      loss,
      trained.map((view) => view.node),
    );
    const gradientOf = new Map(trained.map((view, index) => [view, found[index]!]));
    const parts = views.map((view) => {
      const gradient = gradientOf.get(view) ?? g.constant(Array<number>(view.size).fill(0));
      return g.reshape(gradient, [view.size]);
    });
    return g.concat(parts, 0);
  }
}
