/** What the aggregator cannot know, where it holds ciphertext. */

/** @typedef {import('../../wire/http.ts').RunStatus['holds']} Holds */

/**
 * What is said in place of scores that are not there: a few words beside a figure, a sentence in place of a plot.
 * @param {Holds} holds
 * @returns {{ note: string, sentence: string | null }} sentence null: whatever the plot itself says
 */
export function missingScores(holds) {
  if (holds === 'clear') return { note: 'no scores yet', sentence: null };
  return {
    note: 'not known to the aggregator',
    sentence:
      'Not known to the aggregator, which holds ciphertext only: scores are inside the sums that the groups open.',
  };
}
