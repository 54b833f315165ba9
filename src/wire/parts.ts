import { invariant } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';

/** How the vector of an update is cut up. */
export interface PartsOptions {
  readonly seed: number;
  /** How many rounds in a row send every parameter once. */
  readonly parts: number;
  /** Length of the whole vector. */
  readonly parameters: number;
  /** Positions that every round sends, such as the counts of rows that the rest is divided by; null: none. */
  readonly always: { readonly offset: number; readonly rows: number } | null;
}

/** A random order of the positions that not every round sends, drawn by Fisher and Yates. */
function drawnOrder({ seed, parameters, always }: PartsOptions, cycle: number): Uint32Array {
  const { offset, rows } = always ?? { offset: parameters, rows: 0 };
  const order = new Uint32Array(parameters - rows);
  for (let i = 0; i < order.length; i++) order[i] = i < offset ? i : i + rows;
  const random = randomStream(seed, 'parts', cycle);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/**
 * Which parameters a round sends: after SPARTA (sparse parameter averaging), random parts of equal size, but for one parameter. Parts of `parts` rounds
 * in a row, a cycle, cover every parameter once, and each cycle draws anew. They follow from the seed and the round alone, so that all send the same.
 */
export class Parts {
  readonly #options: PartsOptions;
  #cycle: { readonly cycle: number; readonly order: Uint32Array } | undefined;
  #round: { readonly round: number; readonly positions: Uint32Array } | undefined;

  constructor(options: PartsOptions) {
    this.#options = options;
  }

  /** Length of the longest part. */
  get most(): number {
    const { parts, parameters, always } = this.#options;
    const rows = always?.rows ?? 0;
    return Math.ceil((parameters - rows) / parts) + rows;
  }

  /** The positions that a round, 1 or later, sends, in ascending order; not to be changed. */
  positionsOf(round: number): Uint32Array {
    if (this.#round?.round !== round) this.#round = { round, positions: this.#drawn(round) };
    return this.#round.positions;
  }

  /** A vector [parameters] cut down to what a round sends. */
  gather(round: number, whole: Float32Array): Float32Array {
    invariant(whole.length === this.#options.parameters, 'a vector as long as the model');
    const positions = this.positionsOf(round);
    const part = new Float32Array(positions.length);
    for (let i = 0; i < part.length; i++) part[i] = whole[positions[i]!]!;
    return part;
  }

  /** What a round sent at its places in a vector [parameters] of zeros. */
  scatter(round: number, part: Float64Array): Float64Array {
    const positions = this.positionsOf(round);
    invariant(part.length === positions.length, 'as many numbers as the round sends');
    const whole = new Float64Array(this.#options.parameters);
    for (let i = 0; i < part.length; i++) whole[positions[i]!] = part[i]!;
    return whole;
  }

  #drawn(round: number): Uint32Array {
    invariant(Number.isInteger(round) && round >= 1, `parts of round ${round}`);
    const { parts, always } = this.#options;
    const cycle = Math.floor((round - 1) / parts);
    if (this.#cycle?.cycle !== cycle) this.#cycle = { cycle, order: drawnOrder(this.#options, cycle) };
    const { order } = this.#cycle;
    const index = (round - 1) % parts;
    const bound = (part: number) => Math.floor((part * order.length) / parts);
    const { offset, rows } = always ?? { offset: 0, rows: 0 };
    const positions = new Uint32Array(bound(index + 1) - bound(index) + rows);
    positions.set(order.subarray(bound(index), bound(index + 1)));
    for (let row = 0; row < rows; row++) positions[positions.length - 1 - row] = offset + row;
    return positions.sort();
  }
}
