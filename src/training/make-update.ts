import { asStage } from '../core/brand.ts';
import type { Update } from '../wire/stages.ts';

/** The clear update of a group: what local training changed, `trained` minus `received`, float32 [parameters]. */
export function makeUpdate(made: {
  readonly group: string;
  readonly round: number;
  readonly weight: number;
  readonly received: Float32Array;
  readonly trained: Float32Array;
  readonly score: number | null;
}): Update {
  const { group, round, weight, received, trained, score } = made;
  const delta = trained.map((value, index) => value - received[index]!);
  return asStage({ group, round, weight, delta, score });
}

/** The update of who takes part without answers: zeros, of weight 0. */
export function emptyUpdate(group: string, round: number, received: Float32Array): Update {
  return makeUpdate({ group, round, weight: 0, received, trained: received, score: null });
}
