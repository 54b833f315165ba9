import { fillExactNormal } from '../../core/exact-normal.ts';
import { keyedUniform } from '../morph.ts';
import type { Frame, TaskRows } from '../part-session.ts';
import { ownKey } from './secret-stage.ts';

/** Whether the model computes the same after a morph. */
export type ProbeVerdict = 'fits' | 'differs';

const ROWS: TaskRows = { context: 8, target: 8 };
/** Largest difference relative to the largest number: float32 rounds by some 1e-7, a wrong rotation changes everything. */
const TOLERANCE = 1e-4;

function largest(values: Iterable<number>): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** What goes through all stages before and after a morph: normal draws that the first keeper makes, and what the last keeper finds. */
export class Probe {
  readonly #width: number;
  readonly #secret: Uint8Array;
  #before: Frame | null = null;
  #verdict: ProbeVerdict | null = null;

  constructor(width: number, secret: Uint8Array) {
    this.#width = width;
    this.#secret = secret;
  }

  get verdict(): ProbeVerdict | null {
    return this.#verdict;
  }

  /** The same in both phases around the end of an epoch. */
  input(epoch: number): { readonly x: Frame; readonly rows: TaskRows } {
    const rows = ROWS.context + ROWS.target;
    const normals = new Float64Array(rows * this.#width);
    fillExactNormal(normals, keyedUniform(ownKey(this.#secret, `probe after epoch ${epoch}`)));
    return { x: { data: Float32Array.from(normals), rows, width: this.#width }, rows: ROWS };
  }

  /** What came out after the last stage, in phase 0 or 1. */
  ended(phase: number, y: Frame): void {
    if (phase === 0) {
      this.#before = y;
      this.#verdict = null;
      return;
    }
    const before = this.#before;
    if (before === null) return;
    const apart = largest(before.data.map((value, index) => value - y.data[index]!));
    this.#verdict = apart <= TOLERANCE * largest(before.data) ? 'fits' : 'differs';
  }

  forget(): void {
    this.#before = null;
    this.#verdict = null;
  }
}
