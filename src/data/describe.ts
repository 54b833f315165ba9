import type { Answer, Provenance, Survey } from './survey.ts';

export interface GroupDescription {
  readonly id: string;
  readonly label: string;
  /** Questions the group answered. */
  readonly questions: number;
  /** Fewest and most people behind one of its answers; null where the source does not say for every answer. */
  readonly respondents: { readonly fewest: number; readonly most: number } | null;
  /** Mean over its answers of the Shannon entropy, in bits. */
  readonly meanEntropyBits: number;
}

/** A survey in figures: plain values, fit for a table and for JSON. */
export interface SurveyDescription {
  readonly name: string;
  readonly questions: number;
  readonly groups: number;
  /** (question, group) pairs. */
  readonly answers: number;
  /** Questions by number of options, ascending. */
  readonly optionCounts: readonly { readonly options: number; readonly questions: number }[];
  /** Questions by topic in order of first appearance; questions without a topic do not count. */
  readonly topics: readonly { readonly topic: string; readonly questions: number }[];
  /** Mean over all answers of the Shannon entropy, in bits. */
  readonly meanEntropyBits: number;
  readonly perGroup: readonly GroupDescription[];
  readonly provenance: Provenance;
}

function entropyBits({ distribution }: Answer): number {
  return distribution.reduce((sum, share) => (share > 0 ? sum - share * Math.log2(share) : sum), 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function respondentsRange(answers: readonly Answer[]): GroupDescription['respondents'] {
  const known = answers.flatMap(({ respondents }) => (respondents === undefined ? [] : [respondents]));
  if (known.length < answers.length) return null;
  return {
    fewest: known.reduce((a, b) => Math.min(a, b)),
    most: known.reduce((a, b) => Math.max(a, b)),
  };
}

function tally<Key>(keys: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** Sums a survey up for `dataset describe` and `--json`. */
export function describeSurvey({ name, questions, groups, answers, provenance }: Survey): SurveyDescription {
  const byOptions = [...tally(questions.map(({ options }) => options.length))].sort(([a], [b]) => a - b);
  const byTopic = [...tally(questions.flatMap(({ topic }) => (topic === undefined ? [] : [topic])))];
  const perGroup = groups.map(({ id, label }, index) => ({
    id,
    label,
    questions: answers[index]!.length,
    respondents: respondentsRange(answers[index]!),
    meanEntropyBits: mean(answers[index]!.map(entropyBits)),
  }));
  return {
    name,
    questions: questions.length,
    groups: groups.length,
    answers: answers.reduce((sum, own) => sum + own.length, 0),
    optionCounts: byOptions.map(([options, count]) => ({ options, questions: count })),
    topics: byTopic.map(([topic, count]) => ({ topic, questions: count })),
    meanEntropyBits: mean(answers.flat().map(entropyBits)),
    perGroup,
    provenance: { ...provenance },
  };
}
