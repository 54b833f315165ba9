import { asStage } from '../core/brand.ts';
import { bytesOf } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import type { Model } from './stages.ts';

/** A model with its digest. */
export function makeModel(round: number, parameters: Float32Array): Model {
  return asStage({ round, parameters, digest: sha256(bytesOf(parameters)) });
}
