import { basename, join } from 'node:path';
import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { isFile, isFolder } from '../../core/files.ts';
import { type DraftAnswer, type DraftQuestion, placeOf } from '../draft.ts';
import { type WarningTally, warningTally } from '../warning.ts';
import { type CsvRecord, csvRecords } from './csv-records.ts';
import { defineImporter } from './importer.ts';

const COMMENTS = 'comments.csv';
const VOTES = 'participants-votes.csv';
const OPTIONS = ['Agree', 'Disagree', 'Pass'];
/** Option index of each vote code of an export. */
const OPTION_OF_VOTE: Readonly<Record<string, number>> = { '1': 0, '-1': 1, '0': 2 };

const options = z.strictObject({
  /** Statements that moderators rejected (`moderated` = -1) were not shown to later participants. */
  moderated: z.enum(['drop', 'keep']).default('drop'),
  /** (Statement, group) pairs with fewer votes than this are dropped. */
  minVotes: z.int().min(1).default(1),
});

/** Votes per statement id and group id, shape [agree, disagree, pass]. */
type VoteCounts = Map<string, Map<string, number[]>>;

async function readStatements(
  file: string,
  keepModerated: boolean,
  tally: WarningTally,
): Promise<DraftQuestion[]> {
  const statements: DraftQuestion[] = [];
  for await (const { row, values } of csvRecords(file, ['comment-id', 'moderated', 'comment-body'])) {
    const where = { file, row, column: 'comment-body' };
    if (values.get('moderated') === '-1' && !keepModerated) {
      tally.note('statement-moderated-out', placeOf(where));
      continue;
    }
    const id = values.get('comment-id') ?? '';
    statements.push({ id, text: values.get('comment-body') ?? '', options: OPTIONS, where });
  }
  // An export lists the newest statement first; ids count up in the order of writing.
  return statements.sort((a, b) => Number(a.id) - Number(b.id));
}

function countVotes(
  counts: VoteCounts,
  file: string,
  { row, values }: CsvRecord,
  statements: readonly DraftQuestion[],
): void {
  const group = values.get('group-id') ?? '';
  for (const { id } of statements) {
    const vote = values.get(id) ?? '';
    if (vote === '') continue;
    const option = OPTION_OF_VOTE[vote];
    if (option === undefined) {
      const message = `${placeOf({ file, row, column: id })}: "${vote}" is not a vote`;
      throw new PluralError('DATA_FORMAT', message, {
        hint: 'Votes are 1 (agree), -1 (disagree), 0 (pass) or empty.',
      });
    }
    const ofStatement = counts.get(id) ?? new Map<string, number[]>();
    const ofGroup = ofStatement.get(group) ?? [0, 0, 0];
    ofGroup[option] = ofGroup[option]! + 1;
    counts.set(id, ofStatement.set(group, ofGroup));
  }
}

/** Reads the votes; every statement must have its column. */
async function readVotes(
  file: string,
  statements: readonly DraftQuestion[],
  tally: WarningTally,
): Promise<{ counts: VoteCounts; groups: string[] }> {
  const counts: VoteCounts = new Map();
  const groups = new Set<string>();
  for await (const record of csvRecords(file, [
    'participant',
    'group-id',
    ...statements.map(({ id }) => id),
  ])) {
    const group = record.values.get('group-id') ?? '';
    if (group === '') {
      tally.note('participant-without-group', placeOf({ file, row: record.row, column: 'group-id' }));
      continue;
    }
    groups.add(group);
    countVotes(counts, file, record, statements);
  }
  return { counts, groups: [...groups].sort((a, b) => Number(a) - Number(b)) };
}

function answersOf(
  counts: VoteCounts,
  groups: readonly string[],
  file: string,
  minVotes: number,
  tally: WarningTally,
): DraftAnswer[] {
  const answers: DraftAnswer[] = [];
  for (const [statement, ofStatement] of counts) {
    for (const group of groups) {
      const weights = ofStatement.get(group);
      if (weights === undefined) continue;
      const respondents = weights.reduce((sum, count) => sum + count, 0);
      const where = { file, column: statement };
      if (respondents < minVotes) tally.note('pair-below-min-votes', `${placeOf(where)} (group ${group})`);
      else answers.push({ question: statement, group: groupId(group), weights, respondents, where });
    }
  }
  return answers;
}

function groupId(group: string): string {
  return `group-${group}`;
}

/** A Polis open-data export: statements are questions, opinion groups are groups, votes are counts. */
export const polis = defineImporter({
  name: 'polis',
  describe: `Polis export folder (${COMMENTS}, ${VOTES}); options: moderated = drop | keep, minVotes`,
  options,
  async recognises(path) {
    return isFolder(path) && isFile(join(path, COMMENTS)) && isFile(join(path, VOTES));
  },
  async read(path, name, { moderated, minVotes }) {
    const tally = warningTally();
    const votesFile = join(path, VOTES);
    const questions = await readStatements(join(path, COMMENTS), moderated === 'keep', tally);
    const { counts, groups } = await readVotes(votesFile, questions, tally);
    const answers = answersOf(counts, groups, votesFile, minVotes, tally);
    const provenance = {
      source: `Polis open data export "${basename(path)}"`,
      licence: 'CC BY 4.0',
      attribution:
        'Gathered with the Polis software (compdemocracy.org/polis), sub-licensed under CC BY 4.0 with attribution to The Computational Democracy Project',
    };
    const labelled = groups.map((group) => ({ id: groupId(group), label: `Opinion group ${group}` }));
    return {
      draft: { name, questions, groups: labelled, answers, weights: 'counts', provenance },
      warnings: tally.list(),
    };
  },
});
