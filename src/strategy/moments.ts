import { z } from 'zod';
import { bytesOf, float32From } from '../core/bytes.ts';
import { invariant } from '../core/errors.ts';
import type { StrategyState } from './strategy.ts';

const storedMoments = z.record(z.string(), z.instanceof(Uint8Array));

/**
 * A moment of a server optimiser, float32 [parameters], from a strategy's state; `fill` before the first round. A state holds bytes, so that
 * checkpoints, replicas and groups come to the same bits; before the first round it is null, as only a sum says how long moments are.
 */
export function momentFrom(
  state: StrategyState,
  name: string,
  parameters: number,
  fill: number,
): Float32Array {
  if (state === null) return new Float32Array(parameters).fill(fill);
  const bytes = storedMoments.parse(state)[name];
  invariant(bytes?.byteLength === 4 * parameters, `a moment "${name}" of the model's size`);
  return float32From(bytes);
}

/** The state that holds some moments by name. */
export function stateOf(moments: Readonly<Record<string, Float32Array>>): StrategyState {
  return Object.fromEntries(Object.entries(moments).map(([name, moment]) => [name, bytesOf(moment)]));
}
