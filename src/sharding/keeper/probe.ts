import { fillExactNormal } from '../../core/exact-normal.ts';
import type { FrameHeader } from '../../wire/shard-frame.ts';
import { misplaced } from '../frames/misplaced.ts';
import { largest } from '../frames/payload.ts';
import { keyedUniform } from '../parts/morph.ts';
import type { Frame, TaskRows } from '../parts/part-session.ts';

/** Before a morph, and after it while it is not settled. */
export type ProbePhase = 0 | 1;

/** Whether the model computes the same after a morph. */
export type ProbeVerdict = 'fits' | 'differs';

const ROWS: TaskRows = { context: 8, target: 8 };
/** Largest difference relative to the largest number: float32 rounds by some 1e-7, a wrong rotation changes everything. */
const TOLERANCE = 1e-4;

/** What goes through all stages before and after a morph: normal draws that the first keeper makes, and what the last keeper finds. */
export class Probe {
  readonly #width: number;
  #input: Frame | null = null;
  #before: Frame | null = null;
  #verdict: ProbeVerdict | null = null;
  #passed: ProbePhase | null = null;
  #ended: ProbePhase | null = null;

  constructor(width: number) {
    this.#width = width;
  }

  get verdict(): ProbeVerdict | null {
    return this.#verdict;
  }

  /** The last phase whose probe came out after the last stage; null before any. */
  get reached(): ProbePhase | null {
    return this.#ended;
  }

  /** The first keeper's draw from a key before the morph, and the same again after it. */
  input(key: Uint8Array, phase: ProbePhase): { readonly x: Frame; readonly rows: TaskRows } {
    if (phase === 0) {
      const rows = ROWS.context + ROWS.target;
      const normals = new Float64Array(rows * this.#width);
      fillExactNormal(normals, keyedUniform(key));
      this.#input = { data: Float32Array.from(normals), rows, width: this.#width };
    }
    if (this.#input === null) throw misplaced('there was no probe before the morph');
    return { x: this.#input, rows: ROWS };
  }

  /**
   * Lets a probe pass in its phase, after the morph once, and in its one shape: what the last keeper finds must tell nobody more than whether a morph fits.
   * Errors: FRAME_REFUSED.
   */
  admit({ step, type, context, target }: FrameHeader, phase: ProbePhase): void {
    const shaped = type === 'float32' && context === ROWS.context && target === ROWS.target;
    if (!shaped || step !== phase || (phase === 1 && this.#passed !== 0)) {
      throw misplaced('no such probe is due');
    }
    this.#passed = phase;
  }

  /** What came out after the last stage. */
  ended(phase: ProbePhase, y: Frame): void {
    this.#ended = phase;
    if (phase === 0) {
      this.#before = y;
      this.#verdict = null;
      return;
    }
    const before = this.#before;
    if (before === null || before.data.length !== y.data.length) return;
    const apart = largest(before.data.map((value, index) => value - y.data[index]!));
    this.#verdict = apart <= TOLERANCE * largest(before.data) ? 'fits' : 'differs';
  }

  forget(): void {
    this.#input = null;
    this.#before = null;
    this.#verdict = null;
    this.#passed = null;
    this.#ended = null;
  }
}
