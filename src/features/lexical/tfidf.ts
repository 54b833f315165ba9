import { type SparseMatrix, sparseFrom } from './sparse.ts';
import { bigramsOf, wordsOf } from './terms.ts';

/** Terms that stand in fewer texts say nothing about what texts have in common. */
const MIN_DOCUMENTS = 2;

function termCounts(text: string): Map<string, number> {
  const words = wordsOf(text);
  const counts = new Map<string, number>();
  for (const term of [...words, ...bigramsOf(words)]) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

function documentFrequencies(documents: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const frequencies = new Map<string, number>();
  for (const counts of documents) {
    for (const term of counts.keys()) frequencies.set(term, (frequencies.get(term) ?? 0) + 1);
  }
  return frequencies;
}

/** Terms kept, with their column and smoothed inverse document frequency log((1 + N) / (1 + df)) + 1. */
function vocabularyOf(
  documents: readonly ReadonlyMap<string, number>[],
): Map<string, { column: number; idf: number }> {
  const kept = [...documentFrequencies(documents)].filter(([, frequency]) => frequency >= MIN_DOCUMENTS);
  // Code-unit order of the terms: columns do not depend on the order of the texts.
  kept.sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(
    kept.map(([term, frequency], column) => [
      term,
      { column, idf: Math.log((1 + documents.length) / (1 + frequency)) + 1 },
    ]),
  );
}

/**
 * Tf-idf of words and word pairs, shape [texts, terms]: (1 + log tf) x smoothed idf, each row of length 1
 * (a text without a kept term is a row of zeros). The texts should be distinct.
 */
export function tfidf(texts: readonly string[]): SparseMatrix {
  const documents = texts.map(termCounts);
  const vocabulary = vocabularyOf(documents);
  const rows = documents.map((counts) => {
    const row: [number, number][] = [];
    for (const [term, count] of counts) {
      const known = vocabulary.get(term);
      if (known !== undefined) row.push([known.column, (1 + Math.log(count)) * known.idf]);
    }
    row.sort(([a], [b]) => a - b);
    const length = Math.sqrt(row.reduce((sum, [, value]) => sum + value * value, 0));
    return row.map(([column, value]): [number, number] => [column, value / length]);
  });
  return sparseFrom(rows, vocabulary.size);
}
