import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import { arrowFeatures } from './arrow.ts';
import { lexicalFeatures } from './lexical/lexical.ts';
import type { FeaturesProvider } from './provider.ts';

/** Every features provider. To add one: write its file, add it here, call the conformance suite from its test. */
export const FEATURES_PROVIDERS: readonly FeaturesProvider[] = [lexicalFeatures, arrowFeatures];

/** The provider of that name. Errors: CONFIG_INVALID with the nearest known name. */
export function featuresProvider(name: string): FeaturesProvider {
  const found = FEATURES_PROVIDERS.find((provider) => provider.name === name);
  if (found !== undefined) return found;
  const known = FEATURES_PROVIDERS.map((provider) => provider.name);
  throw new PluralError('CONFIG_INVALID', `there is no features provider "${name}"`, {
    hint: suggestion(name, known),
  });
}
