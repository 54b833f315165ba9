import { truncatedSvd } from './svd.ts';
import { tfidf } from './tfidf.ts';

/**
 * Latent semantic analysis (Deerwester et al. 1990): coordinates of texts in the leading directions of their tf-idf.
 * Returns `components` columns, each of shape [texts]; columns beyond the rank are zero. Fitted on the distinct texts.
 */
export function lsaColumns(texts: readonly string[], components: number, seed: number): Float64Array[] {
  // Sorted, so that a text's coordinates do not depend on the order in which questions come.
  const distinct = [...new Set(texts)].sort((a, b) => (a < b ? -1 : 1));
  const place = new Map(distinct.map((text, i) => [text, i]));
  const { left, singularValues } = truncatedSvd(tfidf(distinct), components, seed);
  return Array.from({ length: components }, (_, component) => {
    const vector = left[component];
    if (vector === undefined) return new Float64Array(texts.length);
    return Float64Array.from(texts, (text) => vector[place.get(text)!]! * singularValues[component]!);
  });
}
