import { asStage } from '../../src/core/brand.ts';
import { randomStream } from '../../src/core/random.ts';
import type { Batch, Points } from '../../src/predictor/batch.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import type { GpoOptions } from '../../src/predictor/gpo/options.ts';
import { HostEngine } from '../../src/training/host-engine.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';

/** Width of the embeddings that the paper's features are. */
export const PAPER_WIDTH = 4096;
export const OPTIONS_PER_QUESTION = 4;
export const LEARNING_RATE = 3e-4;
const TABLE_ROWS = 1000;

/** Batches of random points over one table of random features. */
export class Tasks {
  readonly width: number;
  readonly #table: Float32Array;
  readonly #random = randomStream(0, 'bench tasks');

  constructor(width: number) {
    this.width = width;
    this.#table = Float32Array.from({ length: TABLE_ROWS * width }, () => this.#random.normal());
  }

  /** A batch of so many points each. */
  batch(context: number, target: number): Batch {
    return asStage({
      width: this.width,
      table: this.#table,
      context: this.#points(context),
      target: this.#points(target),
    });
  }

  /** Half of the points context, half target. */
  halves(points: number): Batch {
    return this.batch(Math.ceil(points / 2), Math.floor(points / 2));
  }

  /** A number of points between two bounds. */
  size(least: number, most: number): number {
    return least + this.#random.below(most - least + 1);
  }

  #points(count: number): Points {
    return {
      rows: Int32Array.from({ length: count }, () => this.#random.below(TABLE_ROWS)),
      probabilities: new Float32Array(count).fill(1 / OPTIONS_PER_QUESTION),
      questions: Int32Array.from({ length: count }, (_, i) => Math.floor(i / OPTIONS_PER_QUESTION)),
    };
  }
}

/** The paper's predictor, fresh, on this thread. */
export async function paperEngine(width: number): Promise<HostEngine> {
  const predictor = gpo.create({}, { featureWidth: width, rows: 0 });
  const engine = new HostEngine({
    predictor,
    device: 'cpu',
    optimizer: ADAM_DEFAULTS,
    features: 'float32',
  });
  await engine.load(predictor.initialise((tensor) => randomStream(0, tensor)));
  await engine.begin(null);
  return engine;
}

/**
 * Floating-point operations of matrix products in one step, as the graph has them: keys and values for context rows, the last layer for
 * target rows, no gradient for the inputs. Everything else (softmax, norms, Adam) counts as none.
 */
export function stepFlops(
  { width: d, layers, feedforward, embedderLayers }: GpoOptions,
  featureWidth: number,
  context: number,
  target: number,
): number {
  const rows = context + target;
  const product = (m: number, k: number, n: number) => 2 * m * k * n;
  const first = product(rows, featureWidth + 1, d);
  const embedder = (embedderLayers - 1) * product(rows, d, d);
  const encoder = (asking: number) =>
    2 * product(asking, d, d) +
    2 * product(context, d, d) +
    2 * product(asking, d, feedforward) +
    2 * product(asking, d, context);
  const head = product(target, d, feedforward) + product(target, feedforward, 2);
  const rest = embedder + (layers - 1) * encoder(rows) + encoder(target) + head;
  // Backward: one product for the weights and one for the inputs, which the first layer does not need.
  return 2 * first + 3 * rest;
}
