import { z } from 'zod';
import { asStage } from '../core/brand.ts';
import { bytesOf, float32From } from '../core/bytes.ts';
import { PluralError } from '../core/errors.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../wire/stages.ts';
import { defineProtection, type Fold } from './protection.ts';

/** Bytes before the delta: the weight as float64. */
const HEADER_BYTES = 8;

/**
 * Grid on which weighted deltas are added. Sums of multiples of 2^-32 below 2^21 are exact in float64, so that
 * the order in which groups arrive cannot change a single bit of the model.
 */
const STEPS_PER_UNIT = 2 ** 32;
const EXACT = 2 ** 53;

function encodePayload({ weight, delta }: Update): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + delta.byteLength);
  new DataView(payload.buffer).setFloat64(0, weight, true);
  payload.set(bytesOf(delta), HEADER_BYTES);
  return payload;
}

function decodePayload(update: ProtectedUpdate, parameters: number): { weight: number; delta: Float32Array } {
  const { payload } = update;
  if (payload.byteLength !== HEADER_BYTES + 4 * parameters) {
    throw refused(update, `it has ${payload.byteLength} bytes instead of ${HEADER_BYTES + 4 * parameters}`);
  }
  const weight = new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true);
  if (!(weight > 0 && Number.isFinite(weight))) throw refused(update, `its weight is ${weight}`);
  return { weight, delta: float32From(payload.subarray(HEADER_BYTES)) };
}

function refused({ group, round }: ProtectedUpdate, reason: string): PluralError {
  return new PluralError('ROUND_REFUSED', `update of group "${group}" in round ${round}: ${reason}`, {
    hint: 'The group should train again from the current model.',
  });
}

function exactFold(round: number, parameters: number): Fold {
  const sum = new Float64Array(parameters);
  const groups: string[] = [];
  let totalWeight = 0;
  return {
    add: (update) => {
      const { weight, delta } = decodePayload(update, parameters);
      const scale = weight * STEPS_PER_UNIT;
      // All of it is looked at before any of it is added: a refused update leaves no trace in the sum.
      for (let i = 0; i < parameters; i++) {
        const total = sum[i]! + Math.round(delta[i]! * scale);
        if (!(Math.abs(total) < EXACT)) {
          throw refused(update, `parameter ${i} is not finite or far too large (${delta[i]})`);
        }
      }
      for (let i = 0; i < parameters; i++) sum[i]! += Math.round(delta[i]! * scale);
      totalWeight += weight;
      groups.push(update.group);
    },
    finish: (): Aggregate => {
      if (groups.length === 0) throw new PluralError('ROUND_FAILED', `round ${round} has no updates to add`);
      const weightedSum = sum.map((steps) => steps / STEPS_PER_UNIT);
      return asStage({ round, weightedSum, totalWeight, groups: [...groups].sort() });
    },
  };
}

/** No protection: the aggregator sees every update in clear. For experiments on data that may be seen. */
export const none = defineProtection({
  name: 'none',
  describe: 'no protection: the aggregator sees each update in clear',
  reveals: 'rows',
  options: z.strictObject({}),
  create: () => ({
    protect: (update) =>
      asStage({
        group: update.group,
        round: update.round,
        protection: 'none',
        payload: encodePayload(update),
      }),
    fold: exactFold,
  }),
});
