import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { OverSeeds } from '../experiments/over-seeds.ts';
import { formatBytes } from '../src/core/bytes.ts';
import { comparisonMarkdown, markdownTable } from '../src/report/table.ts';
import { readRecord } from '../src/report/write.ts';
import { figureText } from './benchmark.ts';
import { communicationPlot, type Sent } from './communication-plot.ts';
import { convergenceTable, countriesTable } from './tables/grids.ts';
import { at, left, provenance, right, spread, withSpread } from './tables/parts.ts';
import { polisTable } from './tables/polis.ts';
import { cutTable, unextractableTable } from './tables/unextractable.ts';

/**
 * Prints the tables of a document from committed results: `npm run readme` rewrites them, a test compares.
 * A table stands between `<!-- table:NAME -->` and `<!-- /table -->`.
 */

function experimentTable(folder: string): string {
  const record = readRecord(at(folder));
  const { cpu, cores, node, commit } = record.environment;
  const seconds = (Date.parse(record.finishedAt) - Date.parse(record.startedAt)) / 1000;
  const measured = `Measured on ${cpu}, ${cores} cores, Node ${node}, in ${seconds.toFixed(0)} s; seed ${record.seed}, commit ${commit}, config digest ${record.configDigest.slice(0, 12)}.`;
  return `${comparisonMarkdown(record)}\n\n${measured}`;
}

interface SavedBenchmark {
  readonly machine: string;
  readonly commit: string;
  readonly rows: readonly { name: string; value: number; unit: string; ratio?: number }[];
}

function benchmarkTable(name: string): string {
  const saved: SavedBenchmark = JSON.parse(readFileSync(at(`bench/results/${name}.json`), 'utf8'));
  const columns = [left('figure'), right('value'), right('ratio')];
  const cells = saved.rows.map(({ name: figure, value, unit, ratio }) => [
    figure,
    `${figureText(value)} ${unit}`,
    ratio === undefined ? '' : ratio.toFixed(2),
  ]);
  return `${markdownTable(columns, cells)}\n\n${saved.machine}, commit ${saved.commit}.`;
}

interface SavedSettings {
  readonly commit: string;
  readonly seeds: readonly number[];
  readonly validation: readonly string[];
  readonly groupMean: number;
  readonly rows: readonly { label: string; alignment: readonly number[] }[];
}

function settingsTable(path: string): string {
  const saved: SavedSettings = JSON.parse(readFileSync(at(path), 'utf8'));
  const columns = [left('settings'), ...saved.seeds.map((seed) => right(`seed ${seed}`))];
  const cells = saved.rows.map(({ label, alignment }) => [
    label,
    ...alignment.map((value) => value.toFixed(3)),
  ]);
  const judges = `Judged on ${saved.validation.join(', ')}; the mean of the training groups scores ${saved.groupMean.toFixed(3)} (seed 0). Commit ${saved.commit}.`;
  return `${markdownTable(columns, cells)}\n\n${judges}`;
}

interface SavedSeeds {
  readonly commit: string;
  readonly seeds: readonly number[];
  readonly rows: readonly {
    readonly protection: string;
    readonly scores: readonly { unseen: number; training: number; uploadPerParameter: number }[];
  }[];
}

/** Mean and standard deviation. */
function seedsTable(): string {
  const saved: SavedSeeds = JSON.parse(readFileSync(at('experiments/masking/seeds.json'), 'utf8'));
  const columns = [
    left('protection'),
    ...saved.seeds.map((seed) => right(`seed ${seed}`)),
    ...['unseen mean', 'spread', 'training mean', 'bytes per parameter'].map(right),
  ];
  const cells = saved.rows.map(({ protection, scores }) => {
    const [mean, deviation] = spread(scores.map(({ unseen }) => unseen));
    const [training] = spread(scores.map((score) => score.training));
    return [
      protection,
      ...scores.map(({ unseen }) => unseen.toFixed(4)),
      mean.toFixed(4),
      deviation.toFixed(4),
      training.toFixed(4),
      scores[0]!.uploadPerParameter.toFixed(2),
    ];
  });
  return `${markdownTable(columns, cells)}\n\nAlignment of the unseen groups. Commit ${saved.commit}.`;
}

function overSeeds(path: string): OverSeeds {
  const saved: OverSeeds = JSON.parse(readFileSync(at(path), 'utf8'));
  return saved;
}

function overSeedsTable(path: string, what: string): string {
  const saved = overSeeds(path);
  const columns = [left(what), ...['unseen mean', 'worst', 'CoV', 'ECE'].map(right)];
  const cells = saved.rows.map(({ label, scores }) => {
    const others = (['worst', 'cov', 'ece'] as const).map((figure) =>
      spread(scores.map((score) => score[figure]))[0].toFixed(3),
    );
    return [label, withSpread(scores.map(({ mean }) => mean)), ...others];
  });
  const digests = saved.rows.flatMap(({ configs }) => configs);
  return `${markdownTable(columns, cells)}\n\n${provenance(saved.seeds, digests, saved.commit)}`;
}

/** What was sent in each setting, and what came of it. */
function sentIn({ rows }: OverSeeds): Sent[] {
  return rows.map(({ label, scores }) => ({
    label,
    alignment: scores.map(({ mean }) => mean),
    bytes: spread(scores.map(({ uploadedBytes }) => uploadedBytes))[0],
  }));
}

/** Alignment against bytes, the first row as the measure of both. */
function communicationTable(path: string): string {
  const saved = overSeeds(path);
  const figures = sentIn(saved);
  const first = figures[0]!;
  const columns = [
    left('settings'),
    ...['unseen mean', 'against the first', 'sent per group', 'times fewer'].map(right),
  ];
  const cells = saved.rows.map(({ label }, i) => {
    const { alignment, bytes } = figures[i]!;
    const gain = spread(alignment)[0] - spread(first.alignment)[0];
    return [
      label,
      withSpread(alignment),
      i === 0 ? '' : gain.toFixed(4),
      formatBytes(bytes),
      (first.bytes / bytes).toFixed(1),
    ];
  });
  const digests = saved.rows.flatMap(({ configs }) => configs);
  return `${markdownTable(columns, cells)}\n\n${provenance(saved.seeds, digests, saved.commit)}`;
}

const TABLES: Readonly<Record<string, () => string>> = {
  quickstart: () => experimentTable('experiments/quickstart'),
  gpo: () => experimentTable('experiments/gpo'),
  settings: () => settingsTable('experiments/gpo/settings.json'),
  'predictor-seeds': () => overSeedsTable('experiments/predictors/seeds.json', 'predictor'),
  communication: () => communicationTable('experiments/pluralllm/communication.json'),
  'communication-gpo': () => communicationTable('experiments/pluralllm/communication-gpo.json'),
  fairness: () => overSeedsTable('experiments/pluralllm/fairness.json', 'strategy'),
  countries: () => countriesTable('experiments/pluralllm/countries.json'),
  'countries-trials': () => settingsTable('experiments/pluralllm/choose.json'),
  'countries-more': () => countriesTable('experiments/pluralllm/countries-120.json'),
  reproduction: () => countriesTable('experiments/pluralllm/gpo.json'),
  convergence: () => convergenceTable('experiments/pluralllm/gpo.json'),
  predictors: () => settingsTable('experiments/predictors/choose.json'),
  memory: () => benchmarkTable('memory'),
  engine: () => benchmarkTable('engine'),
  paper: () => benchmarkTable('paper'),
  fold: () => benchmarkTable('fold'),
  mask: () => benchmarkTable('mask'),
  seal: () => benchmarkTable('seal'),
  sharding: () => benchmarkTable('sharding'),
  masking: seedsTable,
  polis: polisTable,
  unextractable: unextractableTable,
  'unextractable-cut': cutTable,
};

/** A document with every table printed anew; an unknown table is an error. */
export function withTables(document: string): string {
  return document.replaceAll(
    /(<!-- table:([a-z-]+) -->)[\s\S]*?(<!-- \/table -->)/g,
    (_, open: string, name: string, close: string) => {
      const table = TABLES[name];
      if (table === undefined) throw new Error(`there is no table "${name}"`);
      return `${open}\n\n${table()}\n\n${close}`;
    },
  );
}

/** Documents that quote figures. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  'experiments/quickstart/README.md',
  'experiments/gpo/README.md',
  'experiments/masking/README.md',
  'experiments/predictors/README.md',
  'experiments/pluralllm/README.md',
  'experiments/unextractable/README.md',
  'experiments/polis/README.md',
  'docs/benchmark.md',
];

/** Pictures that are drawn from committed results. */
export const PICTURES: Readonly<Record<string, () => string>> = {
  'experiments/pluralllm/communication-gpo.svg': () =>
    communicationPlot(sentIn(overSeeds('experiments/pluralllm/communication-gpo.json'))),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, draw] of Object.entries(PICTURES)) writeFileSync(at(path), draw());
  for (const path of DOCUMENTS) writeFileSync(at(path), withTables(readFileSync(at(path), 'utf8')));
}
