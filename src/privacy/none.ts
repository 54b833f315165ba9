import { z } from 'zod';
import { asStage } from '../core/brand.ts';
import { bytesOf } from '../core/bytes.ts';
import { invariant, PluralError } from '../core/errors.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../wire/stages.ts';
import { UPLOAD_ONLY } from '../wire/step.ts';
import { type Collection, defineProtection, type RoundContext } from './protection.ts';

/** Bytes before the delta: the weight as float64. */
const HEADER_BYTES = 8;

/**
 * Grid on which weights and weighted deltas are added. Sums of multiples of 2^-32 below 2^21 are exact in float64,
 * so that the order in which groups arrive cannot change a single bit of the model.
 */
const STEPS_PER_UNIT = 2 ** 32;
const EXACT = 2 ** 53;
const NOTHING = new Uint8Array();

function encodePayload({ weight, delta }: Update): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + delta.byteLength);
  new DataView(payload.buffer).setFloat64(0, weight, true);
  payload.set(bytesOf(delta), HEADER_BYTES);
  return payload;
}

interface Payload {
  /** The weight in steps of the grid, a positive integer. */
  readonly weightSteps: number;
  /** Float32, little-endian. Not an array: a payload may begin at any byte, and a copy costs as much as adding it. */
  readonly delta: DataView;
}

function decodePayload(update: ProtectedUpdate, parameters: number): Payload {
  const { payload } = update;
  if (payload.byteLength !== HEADER_BYTES + 4 * parameters) {
    const found = `it has ${payload.byteLength} bytes instead of ${HEADER_BYTES + 4 * parameters}`;
    throw refused('UPDATE_LENGTH', update, found);
  }
  const { buffer, byteOffset } = payload;
  const weight = new DataView(buffer, byteOffset).getFloat64(0, true);
  const weightSteps = rounded(weight * STEPS_PER_UNIT);
  if (!Number.isFinite(weight)) throw refused('UPDATE_NOT_FINITE', update, `its weight is ${weight}`);
  if (!(weightSteps > 0 && weightSteps < EXACT)) {
    throw refused('UPDATE_OUT_OF_RANGE', update, `its weight is ${weight}`);
  }
  return { weightSteps, delta: new DataView(buffer, byteOffset + HEADER_BYTES, 4 * parameters) };
}

/**
 * Halves up, as docs/protocol.md says. Math.round gives the same, but costs three times as much: its branch on the
 * fraction cannot be predicted. They differ for one number below 2^52 only, 0.5 - 2^-54.
 */
function rounded(value: number): number {
  return Math.floor(value + 0.5);
}

/** The largest absolute value; NaN where one is not a number. */
function largestOf(values: DataView): number {
  const end = values.byteLength;
  let largest = 0;
  for (let at = 0; at < end; at += 4) {
    const size = Math.abs(values.getFloat32(at, true));
    if (size <= largest) continue;
    if (Number.isNaN(size)) return size;
    largest = size;
  }
  return largest;
}

/** Bound of all weighted deltas in steps: rounding and weights keep the order. Errors: UPDATE_NOT_FINITE, UPDATE_OUT_OF_RANGE. */
function boundOf(update: ProtectedUpdate, { weightSteps, delta }: Payload): number {
  const bound = rounded(largestOf(delta) * weightSteps);
  if (bound < EXACT) return bound;
  let at = 0;
  while (rounded(Math.abs(delta.getFloat32(at, true)) * weightSteps) < EXACT) at += 4;
  const value = delta.getFloat32(at, true);
  const finite = Number.isFinite(value);
  throw refused(
    finite ? 'UPDATE_OUT_OF_RANGE' : 'UPDATE_NOT_FINITE',
    update,
    `parameter ${at / 4} is ${finite ? 'far too large' : 'not finite'} (${value})`,
  );
}

/** Adds the weighted delta in steps. On its own, so that nothing but the sum is in the loop. */
function addTo(sum: Float64Array, { weightSteps, delta }: Payload): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += rounded(delta.getFloat32(4 * i, true) * weightSteps);
}

function checkProtection(update: ProtectedUpdate): void {
  const { protection } = update;
  if (protection !== 'none') {
    throw refused('ROUND_REFUSED', update, `its protection is "${protection}", not "none"`);
  }
}

type Refusal = 'ROUND_REFUSED' | 'UPDATE_LENGTH' | 'UPDATE_NOT_FINITE' | 'UPDATE_OUT_OF_RANGE';

function refused(code: Refusal, { group, round }: ProtectedUpdate, reason: string): PluralError {
  return new PluralError(code, `update of group "${group}" in round ${round}: ${reason}`, {
    hint: 'The group should train again from the current model.',
  });
}

/**
 * The larger of what an update takes of the two bounds of the sum. Maxima add up to at least the maximum of the sums, and
 * the factor covers the rounding of adding a million such numbers.
 */
function capacityOf(update: ProtectedUpdate, parameters: number): number {
  checkProtection(update);
  const payload = decodePayload(update, parameters);
  return (Math.max(boundOf(update, payload), payload.weightSteps) / EXACT) * (1 + 1e-9);
}

/** The aggregator's side: updates are added exactly, so that no order of them changes a bit. */
class ExactSum implements Collection {
  readonly #context: RoundContext;
  readonly #sum: Float64Array;
  readonly #groups = new Set<string>();
  #totalSteps = 0;
  /** Bounds every partial sum in every order, so that all orders are accepted or none is. */
  #largestSum = 0;

  constructor(context: RoundContext) {
    this.#context = context;
    this.#sum = new Float64Array(context.parameters);
  }

  screen(_step: number, update: ProtectedUpdate): number {
    return capacityOf(update, this.#context.parameters);
  }

  /** All of it is looked at before any of it is added: a refused update leaves no trace in the sum. */
  add(_step: number, update: ProtectedUpdate): void {
    const { round } = this.#context;
    checkProtection(update);
    if (update.round !== round) throw refused('ROUND_REFUSED', update, `the sum is of round ${round}`);
    if (this.#groups.has(update.group))
      throw refused('ROUND_REFUSED', update, 'the group is in the sum already');
    const payload = decodePayload(update, this.#sum.length);
    const { weightSteps } = payload;
    const largest = boundOf(update, payload);
    if (Math.max(this.#largestSum + largest, this.#totalSteps + weightSteps) >= EXACT) {
      throw refused('UPDATE_OUT_OF_RANGE', update, 'with it the sum would be too large to be exact');
    }
    addTo(this.#sum, payload);
    this.#largestSum += largest;
    this.#totalSteps += weightSteps;
    this.#groups.add(update.group);
  }

  noteOf(): Uint8Array {
    return NOTHING;
  }

  recall(): void {
    invariant(false, 'a round of one step has nothing to recall');
  }

  close(_step: number, groups: readonly string[]): void {
    invariant(
      groups.join('\0') === [...this.#groups].sort().join('\0'),
      'the sum is of the groups that the round lists',
    );
  }

  show(): Uint8Array {
    return NOTHING;
  }

  accused(): readonly string[] {
    return [];
  }

  lacks(): null {
    return null;
  }

  finish(): Aggregate {
    const { round } = this.#context;
    if (this.#groups.size === 0) {
      throw new PluralError('ROUND_FAILED', `round ${round} has no updates to add`, {
        hint: 'Find out why no group answered; a round needs at least one update.',
      });
    }
    const weightedSum = this.#sum.map((steps) => steps / STEPS_PER_UNIT);
    const totalWeight = this.#totalSteps / STEPS_PER_UNIT;
    return asStage({ round, weightedSum, totalWeight, scores: null, groups: [...this.#groups].sort() });
  }
}

/** No protection: the aggregator sees every update in clear. For experiments on data that may be seen. */
export const none = defineProtection({
  name: 'none',
  describe: 'no protection: the aggregator sees each update in clear',
  reveals: 'rows',
  steps: UPLOAD_ONLY,
  updateStep: 0,
  options: z.strictObject({}),
  create: (_options, { parameters }) => ({
    groups: { least: 1, most: Number.POSITIVE_INFINITY },
    replyBytes: HEADER_BYTES + 4 * parameters,
    guarantee: null,
    join: () => ({
      answer: (_step, update) => {
        invariant(update !== null, 'the step that carries the update is given it');
        return encodePayload(update);
      },
    }),
    collect: (context) => new ExactSum(context),
  }),
});
