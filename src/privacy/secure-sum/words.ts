import { bytesFrom } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { invariant } from '../../core/errors.ts';
import type { Update } from '../../wire/stages.ts';
import { type Grid, quantise, weightedSumOf } from '../grid.ts';
import { readScalars, type ScalarSums, scalarWords, writeScalars } from '../scalars.ts';
import { addMask } from './expand.ts';
import { addNoise, squaredNorm } from './noise.ts';

import type { SumSettings } from './settings.ts';

/** Each turn fits with a chance of 0.39 or more. */
const MOST_TURNS = 1000;

/** Words of a masked vector. */
export function wordsOf(parameters: number, grid: Pick<Grid, 'bits'>): number {
  return scalarWords(grid) + parameters;
}

/** The chances of the rounding: known to everybody who knows the seed, and the same again when a group starts again. */
function chancesOf({ group, round, delta }: Update, seed: number, turn: number): Uint32Array {
  const chances = new Uint32Array(delta.length);
  const name = JSON.stringify([seed, round, group, turn]);
  addMask(chances, bytesFrom(sha256('pluralllm-mask-v1 rounding\n', name)), 1);
  return chances;
}

/**
 * An update as words of the ring, in clear but for noise: its numbers first, then its weighted delta. `noiseKey`: 32 bytes that nobody else
 * knows. With noise no score is told, and what is rounded to a longer vector than the noise is made for is rounded again.
 * Errors: UPDATE_NOT_FINITE.
 */
export function updateWords(
  update: Update,
  { grid, seed, noise }: SumSettings,
  noiseKey: Uint8Array,
): Uint32Array {
  const words = new Uint32Array(wordsOf(update.delta.length, grid));
  const behind = scalarWords(grid);
  const delta = words.subarray(behind);
  let turn = 0;
  do {
    invariant(turn < MOST_TURNS, 'rounding comes to a vector within the bound');
    quantise(update, grid, chancesOf(update, seed, turn++), words, behind);
  } while (noise !== null && squaredNorm(delta) > noise.mostNorm ** 2);
  writeScalars(noise === null ? update : { ...update, score: null }, grid, words);
  if (noise !== null) addNoise(delta, noise, noiseKey);
  return words;
}

/** What a sum of such words stands for. */
export function sumOfWords(
  words: Uint32Array,
  { grid }: SumSettings,
): ScalarSums & { readonly weightedSum: Float64Array } {
  return { ...readScalars(words, grid), weightedSum: weightedSumOf(words, scalarWords(grid), grid) };
}
