import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import { factor } from './factor/factor.ts';
import { gpo } from './gpo/gpo.ts';
import { plural } from './plural/plural.ts';
import type { PredictorKind } from './predictor.ts';
import { staged } from './staged/staged.ts';

/** Every kind of trained predictor. To add one: write its file, add it here, call the conformance suite. */
export const PREDICTORS: readonly PredictorKind[] = [gpo, factor, plural, staged];

/** The kind of a name; CONFIG_INVALID with the nearest name where there is none. */
export function predictorKind(name: string): PredictorKind {
  const kind = PREDICTORS.find((candidate) => candidate.name === name);
  if (kind !== undefined) return kind;
  const known = PREDICTORS.map((candidate) => candidate.name);
  throw new PluralError('CONFIG_INVALID', `there is no predictor "${name}"`, {
    hint: suggestion(name, known),
  });
}
