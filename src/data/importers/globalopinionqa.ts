import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { isFile } from '../../core/files.ts';
import { type DraftAnswer, type DraftQuestion, placeOf, type Where } from '../draft.ts';
import { type WarningTally, warningTally } from '../warning.ts';
import { type CsvRecord, csvHeader, csvRecords } from './csv-records.ts';
import { defineImporter } from './importer.ts';
import { type PythonDict, type PythonValue, parsePythonLiteral } from './python-literal.ts';

const COLUMNS = ['question', 'selections', 'options', 'source'];

/** Countries the PluralLLM paper trains on (section IV), then those it holds back. */
export const PAPER_TRAINING_COUNTRIES = [
  'Nigeria',
  'Egypt',
  'India (Current national sample)',
  'Germany',
  'United States',
  'Canada',
  'Argentina',
  'Australia',
] as const;
export const PAPER_UNSEEN_COUNTRIES = ['China', 'Japan', 'France', 'Spain', 'Brazil', 'New Zealand'] as const;

const options = z.strictObject({
  /** `paper`: the paper's 14 countries. `all`: every country label of the file. */
  groups: z.enum(['paper', 'all']).default('paper'),
});

const DEFAULTDICT = /^\s*defaultdict\(<class 'list'>,([\s\S]*)\)\s*$/;

interface SourceRow {
  readonly question: DraftQuestion;
  readonly shares: ReadonlyMap<string, readonly number[]>;
}

function literalAt(text: string, where: Where): PythonValue {
  try {
    return parsePythonLiteral(text);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PluralError('DATA_FORMAT', `${placeOf(where)}: ${reason}`, { cause: thrown });
  }
}

function isNumberList(value: PythonValue): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

function isDict(value: PythonValue): value is PythonDict {
  return value instanceof Map;
}

function sharesOf(text: string, where: Where): Map<string, readonly number[]> {
  const dict = literalAt(DEFAULTDICT.exec(text)?.[1] ?? text, where);
  if (!isDict(dict)) throw new PluralError('DATA_FORMAT', `${placeOf(where)}: expected a dict of countries`);
  const shares = new Map<string, readonly number[]>();
  for (const [country, list] of dict) {
    if (typeof country !== 'string' || !isNumberList(list)) {
      throw new PluralError('DATA_FORMAT', `${placeOf(where)}: "${String(country)}" has no list of numbers`);
    }
    shares.set(country, list);
  }
  return shares;
}

/** Some scales mix texts and numbers; Python wrote the numbers as 1.0, people say 1. */
function optionsOf(text: string, where: Where): string[] {
  const list = literalAt(text, where);
  if (!Array.isArray(list))
    throw new PluralError('DATA_FORMAT', `${placeOf(where)}: expected a list of options`);
  return list.map((option: PythonValue) => {
    if (typeof option === 'string' || typeof option === 'number') return String(option);
    throw new PluralError('DATA_FORMAT', `${placeOf(where)}: an option is neither text nor a number`);
  });
}

function sourceRow(file: string, { row, values }: CsvRecord): SourceRow {
  const at = (column: string): Where => ({ file, row, column });
  const question: DraftQuestion = {
    // The 0-based record number, which is what files of precomputed vectors for this data set call a question.
    id: String(row - 2),
    text: values.get('question') ?? '',
    options: optionsOf(values.get('options') ?? '', at('options')),
    topic: values.get('source') ?? '',
    where: at('question'),
  };
  return { question, shares: sharesOf(values.get('selections') ?? '', at('selections')) };
}

/** The reference implementation leaves a question out when any country's shares are all zero (one row of 2,556). */
function hasZeroGroup(shares: SourceRow['shares']): boolean {
  return [...shares.values()].some((list) => list.every((share) => share === 0));
}

function answersOf(
  { question, shares }: SourceRow,
  wanted: ReadonlySet<string> | undefined,
  tally: WarningTally,
): DraftAnswer[] {
  const where: Where = { ...question.where, column: 'selections' };
  const answers: DraftAnswer[] = [];
  for (const [country, weights] of shares) {
    if (wanted === undefined || wanted.has(country))
      answers.push({ question: question.id, group: country, weights, where });
    else tally.note('answer-outside-selection', `${placeOf(where)} ("${country}")`);
  }
  return answers;
}

/** GlobalOpinionQA as published: one row per question, a Python dict of countries in `selections`. */
export const globalopinionqa = defineImporter({
  name: 'globalopinionqa',
  describe: 'GlobalOpinionQA CSV (question, selections, options, source); options: groups = paper | all',
  options,
  async recognises(path) {
    if (!isFile(path)) return false;
    const header = await csvHeader(path);
    return header !== undefined && COLUMNS.every((column) => header.includes(column));
  },
  async read(path, name, settings) {
    const paper: readonly string[] = [...PAPER_TRAINING_COUNTRIES, ...PAPER_UNSEEN_COUNTRIES];
    const wanted = settings.groups === 'paper' ? new Set(paper) : undefined;
    const tally = warningTally();
    const questions: DraftQuestion[] = [];
    const answers: DraftAnswer[] = [];
    for await (const record of csvRecords(path, COLUMNS)) {
      const source = sourceRow(path, record);
      if (hasZeroGroup(source.shares)) {
        tally.note('question-with-zero-group', placeOf(source.question.where));
        continue;
      }
      questions.push(source.question);
      answers.push(...answersOf(source, wanted, tally));
    }
    const labels = wanted === undefined ? [...new Set(answers.map(({ group }) => group))].sort() : paper;
    const groups = labels.map((label) => ({ id: label, label }));
    const provenance = {
      source: 'GlobalOpinionQA: Pew Global Attitudes Surveys and World Values Survey, compiled by Anthropic',
      licence: 'CC BY-NC-SA 4.0',
      attribution:
        'Durmus et al., "Towards Measuring the Representation of Subjective Global Opinions in Language Models" (2023)',
    };
    return {
      draft: { name, questions, groups, answers, weights: 'shares', provenance },
      warnings: tally.list(),
    };
  },
});
