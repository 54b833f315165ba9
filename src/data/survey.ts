import type { Stage } from '../core/brand.ts';

/** One question with its answer options, in the order in which they were offered. */
export interface Question {
  readonly id: string;
  readonly text: string;
  readonly options: readonly string[];
  readonly topic?: string;
}

/** A community whose members were asked together: a country, an opinion group, a demographic cell. */
export interface Group {
  readonly id: string;
  readonly label: string;
}

/** How one group answered one question. */
export interface Answer {
  /** Index into `Survey.questions`. */
  readonly question: number;
  /** Share of each option, shape [options of the question], non-negative, sum 1. */
  readonly distribution: Float64Array;
  /** How many people stand behind the figure, where the source says so. */
  readonly respondents?: number;
}

/** Where a survey comes from; shown by `dataset describe` and in every report. */
export interface Provenance {
  readonly source: string;
  readonly licence: string;
  readonly attribution: string;
}

interface SurveyFields {
  readonly name: string;
  readonly questions: readonly Question[];
  readonly groups: readonly Group[];
  /** Per group (same index as `groups`), its answers in ascending order of question. */
  readonly answers: readonly (readonly Answer[])[];
  readonly provenance: Provenance;
}

/**
 * A validated survey: the first stage of a round. Only `validateSurvey` makes one, so whoever holds a Survey
 * may rely on everything that the fields say.
 */
export type Survey = Stage<'Survey', SurveyFields>;
