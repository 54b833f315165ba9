const SAY = {
  'question-without-text': 'question(s) without text dropped',
  'question-without-answers': 'question(s) that no group answered dropped',
  'question-with-zero-group':
    'question(s) dropped because some group has nothing but zeros (the reference filter)',
  'answer-all-zero': '(question, group) pair(s) whose weights are all zero dropped',
  'answer-outside-selection': '(question, group) pair(s) of groups outside the chosen set left out',
  'shares-renormalised':
    '(question, group) pair(s) whose shares were off 1 by more than rounding renormalised',
  'option-filled-with-zero': '(question, group) pair(s) without a row for some option: its weight taken as 0',
  'statement-moderated-out': "statement(s) that the conversation's moderators rejected dropped",
  'participant-without-group': 'participant(s) without an opinion group left out',
  'pair-below-min-votes': '(statement, group) pair(s) with fewer votes than minVotes dropped',
} as const;

export type WarningCode = keyof typeof SAY;

/** Something that was repaired or left out on the way in: never fatal, never silent. */
export interface Warning {
  readonly code: WarningCode;
  /** One line: how many, what was done, and where the first one stands. */
  readonly message: string;
  readonly count: number;
}

export interface WarningTally {
  /** Counts one more case; the place of a code's first case goes into its message. */
  note(code: WarningCode, where: string): void;
  /** One warning per code that was noted, in order of first appearance. */
  list(): readonly Warning[];
}

/** Collects warnings by code, so that ten thousand equal ones make one line. */
export function warningTally(): WarningTally {
  const noted = new Map<WarningCode, { count: number; first: string }>();
  return {
    note(code, where) {
      const before = noted.get(code);
      if (before === undefined) noted.set(code, { count: 1, first: where });
      else before.count++;
    },
    list: () =>
      [...noted].map(([code, { count, first }]) => ({
        code,
        message: `${count} ${SAY[code]}; first: ${first}`,
        count,
      })),
  };
}
