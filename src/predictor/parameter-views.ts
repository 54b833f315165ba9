import { invariant } from '../core/errors.ts';
import { gradients } from '../graph/gradient.ts';
import type { Node } from '../graph/node.ts';
import * as g from '../graph/ops.ts';
import {
  entryOf,
  type LayoutPart,
  type ParameterEntry,
  type ParameterLayout,
  partsOf,
  standsApart,
} from './layout.ts';
import { GRAPH_NAMES } from './predictor.ts';

interface View {
  readonly offset: number;
  readonly size: number;
  readonly node: Node;
  /** Its gradient is written as exact zeros. */
  readonly frozen: boolean;
}

type RowRange = readonly [start: number, end: number];

/**
 * Tensors read out of one flat parameter input. It remembers what was read, so that the gradient can be
 * written back as one flat vector in the same order: that vector is also the federated update.
 *
 * With large tensors `apart`, those have inputs of their own and gradients of their own: views of the same flat vectors, which the
 * graph then need not copy.
 */
export class ParameterViews {
  readonly input: Node;
  readonly #layout: ParameterLayout;
  readonly #apart: boolean;
  readonly #inputs = new Map<string, Node>();
  readonly #views = new Map<string, View>();

  constructor(layout: ParameterLayout, apart = false) {
    this.#layout = layout;
    this.#apart = apart;
    this.input = g.input(GRAPH_NAMES.parameters, [layout.size]);
  }

  /** A whole tensor, or some of its rows (rows of a row-major tensor are adjacent in the flat vector). */
  tensor(name: string, rows?: RowRange): Node {
    return entryOf(this.#layout, name).frozen ? this.frozen(name, rows) : this.#view(name, rows, false);
  }

  /**
   * The same for parameters that are not trained, or cannot change the loss. Of those, rounding would give them gradients of 1e-9 instead
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
    const shape = [end - start, ...entry.shape.slice(1)];
    const node =
      this.#apart && standsApart(entry)
        ? rowsOf(this.#ownInput(entry), start, end)
        : g.reshape(g.slice(this.input, 0, offset, offset + size), shape);
    this.#views.set(key, { offset, size, node, frozen });
    return node;
  }

  #ownInput({ name, shape }: ParameterEntry): Node {
    const known = this.#inputs.get(name);
    if (known !== undefined) return known;
    const input = g.input(partInput(name), shape);
    this.#inputs.set(name, input);
    return input;
  }

  /** Gradient of a loss for the whole flat vector, float32 [layout.size]. */
  gradientOf(loss: Node): Node {
    return g.concat(this.#gradients(loss).views.map(flat), 0);
  }

  /** The same, and the gradient for an input of the graph. */
  gradientWith(loss: Node, input: Node): { readonly parameters: Node; readonly input: Node } {
    const { views, others } = this.#gradients(loss, [input]);
    return { parameters: g.concat(views.map(flat), 0), input: others[0]! };
  }

  /** The same in the parts of the layout, named as `partGradient` names them. */
  gradientParts(loss: Node): Record<string, Node> {
    const found = this.#gradients(loss).views;
    return Object.fromEntries(
      partsOf(this.#layout).map((part) => {
        const own = found.filter(({ offset }) => part.offset <= offset && offset < part.offset + part.size);
        return [partGradient(part), g.reshape(g.concat(own.map(flat), 0), part.shape)];
      }),
    );
  }

  /** Gradients of all views, in the order of the flat vector, which they must cover, and of other nodes. */
  #gradients(loss: Node, others: readonly Node[] = []) {
    const views = [...this.#views.values()].sort((a, b) => a.offset - b.offset);
    let covered = 0;
    for (const view of views) {
      invariant(view.offset === covered, `parameters from ${covered} on are not read, or read twice`);
      covered += view.size;
    }
    invariant(covered === this.#layout.size, `parameters from ${covered} on are not read`);
    const trained = views.filter((view) => !view.frozen);
    const found = gradients(loss, [...trained.map((view) => view.node), ...others]);
    const gradientOf = new Map(trained.map((view, index) => [view, found[index]!]));
    return {
      views: views.map((view) => ({
        ...view,
        gradient: gradientOf.get(view) ?? g.constant(Array<number>(view.size).fill(0)),
      })),
      others: found.slice(trained.length),
    };
  }
}

/** Input of a tensor that stands apart. */
export function partInput(tensor: string): string {
  return `${GRAPH_NAMES.parameters}/${tensor}`;
}

/** Output with the gradient of a part of the flat vector. */
export function partGradient({ offset, entry }: LayoutPart): string {
  return `${GRAPH_NAMES.gradient}/${entry === null ? `from ${offset}` : entry.name}`;
}

function rowsOf(x: Node, start: number, end: number): Node {
  return start === 0 && end === x.shape[0] ? x : g.slice(x, 0, start, end);
}

function flat({ gradient, size }: View & { readonly gradient: Node }): Node {
  return g.reshape(gradient, [size]);
}
