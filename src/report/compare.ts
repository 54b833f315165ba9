import { formatBytes } from '../core/bytes.ts';
import type { SplitName, Summary } from '../evaluate/evaluation.ts';
import { ABSENT, formatScore } from './format.ts';
import { factsOf, orderedMethods } from './methods.ts';
import type { Figures, MethodRecord } from './record.ts';

/** One column of figures: where it is read and which end of it is good. */
export interface Measure {
  readonly title: string;
  readonly split: SplitName;
  readonly figure: Exclude<keyof Summary, 'meanOverQuestions' | 'meanDistanceBase2'>;
  readonly better: 'higher' | 'lower';
}

/** A figure with three decimals; `best` when no other method shows a better one in its column. */
export interface ComparisonCell {
  readonly text: string;
  readonly best: boolean;
}

/** One method: its cells in the order of the measures, and what a group uploads for it. */
export interface ComparisonRow {
  readonly method: MethodRecord;
  readonly cells: readonly ComparisonCell[];
  readonly uploaded: string;
}

export interface Comparison {
  readonly measures: readonly Measure[];
  readonly rows: readonly ComparisonRow[];
}

const MEASURES: readonly Measure[] = [
  { title: 'unseen mean', split: 'unseen', figure: 'mean', better: 'higher' },
  { title: 'worst', split: 'unseen', figure: 'worst', better: 'higher' },
  { title: 'CoV', split: 'unseen', figure: 'coefficientOfVariation', better: 'lower' },
  { title: 'fairness', split: 'unseen', figure: 'fairnessIndex', better: 'higher' },
  { title: 'new questions', split: 'unseen-questions', figure: 'mean', better: 'higher' },
  { title: 'training mean', split: 'training', figure: 'mean', better: 'higher' },
];

/** The columns of the fairness table on one split. */
export function fairnessMeasures(split: SplitName): readonly Measure[] {
  return [
    { title: 'mean', split, figure: 'mean', better: 'higher' },
    { title: 'worst group', split, figure: 'worst', better: 'higher' },
    { title: 'CoV', split, figure: 'coefficientOfVariation', better: 'lower' },
    { title: 'fairness index', split, figure: 'fairnessIndex', better: 'higher' },
    { title: 'per-question fairness', split, figure: 'questionFairness', better: 'higher' },
    { title: 'ECE', split, figure: 'calibrationError', better: 'lower' },
  ];
}

function figureOf(method: MethodRecord, { split, figure }: Measure): number | undefined {
  return method.summaries[split]?.[figure];
}

/** Compares what is shown, not what lies behind it: two equal cells are both best or neither is. */
function bestText(methods: readonly MethodRecord[], measure: Measure): string | undefined {
  const figures = methods.flatMap((method) => figureOf(method, measure) ?? []);
  // Where all are equal none stands out.
  if (new Set(figures.map(formatScore)).size < 2) return undefined;
  return formatScore(measure.better === 'higher' ? Math.max(...figures) : Math.min(...figures));
}

/** Bytes of updates that one training group sent over the whole run, or in words what it hands over instead. */
export function uploadedBy(method: MethodRecord, record: Figures): string {
  const { sends } = factsOf(method);
  if (sends === 'answers') return 'its answers';
  if (sends === 'sum of answers') return 'answers, summed';
  if (sends === 'nothing') return 'nothing';
  const groups = record.split.trainingGroups.length;
  return groups === 0 ? ABSENT : formatBytes(Math.round(record.bytes.uploadTotal / groups));
}

/** Methods against measures; measures that no method has are left out, `measures` by default those of the run. */
export function compareMethods(record: Figures, measures: readonly Measure[] = MEASURES): Comparison {
  const methods = orderedMethods(record);
  const present = measures.filter((measure) =>
    methods.some((method) => figureOf(method, measure) !== undefined),
  );
  const best = present.map((measure) => bestText(methods, measure));
  const rows = methods.map((method) => ({
    method,
    cells: present.map((measure, column) => {
      const text = formatScore(figureOf(method, measure));
      return { text, best: text === best[column] };
    }),
    uploaded: uploadedBy(method, record),
  }));
  return { measures: present, rows };
}
