import { hkdfSync } from 'node:crypto';
import type { ParameterLayout } from '../../predictor/layout.ts';
import { initialiseStaged } from '../../predictor/staged/parameters.ts';
import { keyedUniform, morphFrom } from '../parts/morph.ts';
import type { Stage } from '../parts/stage.ts';

const KEY_BYTES = 32;

/**
 * A key of 32 bytes for one use of what a keeper alone knows when it begins (HKDF-SHA256, RFC 5869). The secret is to be forgotten once the stage is drawn:
 * with it, start and epochs of the stage could be worked out again.
 */
export function ownKey(secret: Uint8Array, use: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, 'pluralllm-keeper-v1', use, KEY_BYTES));
}

/** The parameters that a keeper's stage starts from, float32 [layout.size]: a known start would undo all morphs (ADR 15). */
export function secretStart(layout: ParameterLayout, secret: Uint8Array): Float32Array {
  return initialiseStaged(layout, (tensor) => ({
    uniform: keyedUniform(ownKey(secret, `start of ${tensor}`)),
  }));
}

/**
 * Turns the exit of a stage once before the first step, without the part after it: the model is another one of the same kind then, and the
 * skips of the stage, identities otherwise, tell nothing of the morphs (ADR 15, attack 3).
 */
export function turnExitOnce(stage: Stage, width: number, secret: Uint8Array): void {
  stage.foldExit(morphFrom(ownKey(secret, 'exit before the first step'), width));
}
