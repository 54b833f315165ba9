import { type GroupScore, SPLITS, type Summary } from '../../evaluate/evaluation.ts';
import type { CurvePoint, Figures, MethodRecord, RunRecord } from '../record.ts';
import { eachFigure } from './figures.ts';
import { spreadOf } from './spread.ts';
import { methodIds, methodOver } from './summary.ts';

type Summaries = MethodRecord['summaries'];

function meanOf(values: readonly (number | undefined)[]): number {
  return spreadOf(values).mean ?? 0;
}

function averageSummary(summaries: readonly Summary[]): Summary {
  const means = eachFigure((figure) => meanOf(summaries.map((summary) => summary[figure])));
  const { calibrationError: _unmeasured, ...rest } = means;
  return summaries.some(({ calibrationError }) => calibrationError !== undefined) ? means : rest;
}

function averageSummaries(all: readonly Summaries[]): Summaries {
  const entries = SPLITS.flatMap((split) => {
    const own = all.flatMap((summaries) => summaries[split] ?? []);
    return own.length === 0 ? [] : [[split, averageSummary(own)] as const];
  });
  return Object.fromEntries(entries);
}

/** Points at the rounds that every curve has. */
function averageCurve(methods: readonly MethodRecord[]): CurvePoint[] {
  const lookups = methods.map(({ curve }) => new Map(curve.map((point) => [point.round, point])));
  return (methods[0]?.curve ?? []).flatMap(({ round, step }) => {
    const points = lookups.flatMap((lookup) => lookup.get(round) ?? []);
    if (points.length < methods.length) return [];
    const losses = points.flatMap(({ loss }) => loss ?? []);
    return [
      {
        round,
        step,
        loss: losses.length === 0 ? null : meanOf(losses),
        summaries: averageSummaries(points.map(({ summaries }) => summaries)),
      },
    ];
  });
}

/** A group's score in a split is the mean over the seeds with which it was in that split. */
function averageScores(methods: readonly MethodRecord[]): GroupScore[] {
  const byGroup = new Map<string, GroupScore[]>();
  for (const score of methods.flatMap(({ scores }) => scores)) {
    const key = JSON.stringify([score.split, score.group]);
    byGroup.set(key, [...(byGroup.get(key) ?? []), score]);
  }
  return [...byGroup.values()].map((own) => ({
    ...own[0]!,
    alignment: meanOf(own.map(({ alignment }) => alignment)),
    distanceBase2: meanOf(own.map(({ distanceBase2 }) => distanceBase2)),
    questions: Math.round(meanOf(own.map(({ questions }) => questions))),
  }));
}

function averageMethod(methods: readonly MethodRecord[]): MethodRecord[] {
  const [first] = methods;
  if (first === undefined) return [];
  const { id, label, kind, sees, note } = first;
  return [
    {
      id,
      label,
      kind,
      sees,
      curve: averageCurve(methods),
      scores: averageScores(methods),
      summaries: averageSummaries(methods.map(({ summaries }) => summaries)),
      // A mean over seeds of which some never improved says nothing; the summary has each.
      convergence: null,
      ...(note === undefined ? {} : { note }),
    },
  ];
}

/** The runs of one setting as if they were one: every figure is the mean over the seeds. */
export function averageRecords(records: readonly RunRecord[]): Figures {
  const bytes = (figure: keyof RunRecord['bytes']): number =>
    meanOf(records.map((record) => record.bytes[figure]));
  return {
    methods: methodIds(records).flatMap((id) =>
      averageMethod(methodOver(records, id).filter((method) => method !== undefined)),
    ),
    bytes: {
      uploadPerGroupPerRound: bytes('uploadPerGroupPerRound'),
      downloadPerGroupPerRound: bytes('downloadPerGroupPerRound'),
      uploadTotal: bytes('uploadTotal'),
      downloadTotal: bytes('downloadTotal'),
      uploadPerParameter: bytes('uploadPerParameter'),
    },
    // The number of groups is one of the configuration: every seed has the same.
    split: records[0]!.split,
  };
}
