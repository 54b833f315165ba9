import type { PolisResult } from '../../experiments/polis/polis.ts';
import { markdownTable } from '../../src/report/table.ts';
import { left, provenance, resultOf, right, withSpread } from './parts.ts';

/** Alignment of the unseen groups of each conversation; the last column is the mean over conversations. */
export function polisTable(): string {
  const { commit, seeds, configs, conversations, rows } = resultOf<PolisResult>(
    'experiments/polis/polis.json',
  );
  const named = conversations.map(({ name, statements }) => `${name} (${statements})`);
  const columns = [left('predictor'), ...[...named, 'all'].map(right)];
  const cells = rows.map(({ label, scores }) => {
    const ofSeeds = seeds.map((_, seed) => {
      return scores.reduce((sum, conversation) => sum + conversation[seed]!, 0) / scores.length;
    });
    return [label, ...scores.map(withSpread), withSpread(ofSeeds)];
  });
  return `${markdownTable(columns, cells)}\n\n${provenance(seeds, configs, commit)}`;
}
