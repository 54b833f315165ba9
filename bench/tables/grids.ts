import { formatBytes } from '../../src/core/bytes.ts';
import type { SplitName, Summary } from '../../src/evaluate/evaluation.ts';
import type { Spread } from '../../src/report/grid/spread.ts';
import type { GridSummary } from '../../src/report/grid/summary.ts';
import { markdownTable } from '../../src/report/table.ts';
import { left, provenance, resultOf, right, withSpread } from './parts.ts';

/** Methods of a grid over the countries: means over all answered questions, and over the countries' own means. */
export function countriesTable(path: string): string {
  const saved = resultOf<GridSummary>(path);
  const columns = [
    left('questions held out'),
    left('method'),
    ...['asked: over questions', 'over countries', 'worst', 'CoV', 'ECE', 'new: over questions'].map(right),
  ];
  const cells = saved.settings.flatMap(({ values, methods }) =>
    methods.map(({ id, label, splits }) => {
      const figure = (split: SplitName, name: keyof Summary) => splits[split]?.[name];
      const single = (name: keyof Summary) => figure('unseen', name)?.mean?.toFixed(3) ?? '';
      const shown = (split: SplitName, name: keyof Summary) => {
        const known = figure(split, name)?.perSeed.filter((value) => value !== null) ?? [];
        return known.length === 0 ? '' : withSpread(known);
      };
      return [
        `${100 * Number(values[0] ?? 0)}%`,
        id === 'federated' ? `federated, ${saved.name}` : label,
        shown('unseen', 'meanOverQuestions'),
        shown('unseen', 'mean'),
        ...(['worst', 'coefficientOfVariation', 'calibrationError'] as const).map(single),
        shown('unseen-questions', 'meanOverQuestions'),
      ];
    }),
  );
  return `${markdownTable(columns, cells)}\n\n${provenanceOf(saved)}`;
}

function provenanceOf({ seeds, cells }: GridSummary): string {
  const digests = cells.map(({ configDigest }) => configDigest);
  return provenance(seeds, digests, cells[0]!.commit);
}

/** When the training loss of the trained methods had made 95% of its final improvement, in rounds, in optimiser steps and in bytes. */
export function convergenceTable(path: string): string {
  const saved = resultOf<GridSummary>(path);
  const columns = [
    left('questions held out'),
    left('method'),
    ...['round', 'step', 'sent per group'].map(right),
  ];
  const whole = ({ perSeed }: Spread) =>
    perSeed.map((value) => (value === null ? 'never' : value.toFixed(0))).join(', ');
  const cells = saved.settings.flatMap(({ values, methods }) =>
    methods
      .filter(({ convergence }) => convergence.round.perSeed.some((value) => value !== null))
      .map(({ label, convergence: { round, step, uploadedBytes } }) => [
        `${100 * Number(values[0] ?? 0)}%`,
        label,
        whole(round),
        whole(step),
        uploadedBytes.mean === null || uploadedBytes.mean === 0 ? '' : formatBytes(uploadedBytes.mean),
      ]),
  );
  return `${markdownTable(columns, cells)}\n\n${provenanceOf(saved)}`;
}
