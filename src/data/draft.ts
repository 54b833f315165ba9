import type { Group, Provenance } from './survey.ts';

/** Where a piece of a draft was read, for messages. */
export interface Where {
  readonly file: string;
  /** Record number as a spreadsheet shows it: the header is row 1. For Arrow and Parquet, the first row is row 1. */
  readonly row?: number;
  readonly column?: string;
}

export interface DraftQuestion {
  readonly id: string;
  readonly text: string;
  readonly options: readonly string[];
  readonly topic?: string;
  readonly where: Where;
}

export interface DraftAnswer {
  /** Id of a question of the draft. */
  readonly question: string;
  /** Id of a group of the draft. */
  readonly group: string;
  /** One number per option of the question, not yet checked. */
  readonly weights: ArrayLike<number>;
  /** Number of people behind the figure. */
  readonly respondents?: number;
  readonly where: Where;
}

/** A survey as an importer read it: nothing checked yet. `validateSurvey` makes a Survey of it. */
export interface SurveyDraft {
  readonly name: string;
  readonly questions: readonly DraftQuestion[];
  readonly groups: readonly Group[];
  readonly answers: readonly DraftAnswer[];
  /** `shares` should sum to 1 and are warned about where they do not; `counts` may sum to anything. */
  readonly weights: 'shares' | 'counts';
  readonly provenance: Provenance;
}

/** `opinions.csv, row 12, column "weight"`. */
export function placeOf({ file, row, column }: Where): string {
  const parts = [file];
  if (row !== undefined) parts.push(`row ${row}`);
  if (column !== undefined) parts.push(`column "${column}"`);
  return parts.join(', ');
}
