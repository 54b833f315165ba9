const WORD = /[\p{L}\p{N}]+(?:['’]\p{L}+)*/gu;

/** Words in lower case, apostrophes unified, the same on every locale. */
export function wordsOf(text: string): string[] {
  const normal = text.normalize('NFKC').toLowerCase();
  return (normal.match(WORD) ?? []).map((word) => word.replaceAll('’', "'"));
}

/** Neighbouring words; with `boundaries`, also the first and last word paired with the text's ends. */
export function bigramsOf(words: readonly string[], { boundaries = false } = {}): string[] {
  const line = boundaries ? ['<', ...words, '>'] : words;
  return line.slice(1).map((word, i) => `${line[i]} ${word}`);
}
