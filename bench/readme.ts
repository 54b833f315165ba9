import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { comparisonMarkdown, markdownTable } from '../src/report/table.ts';
import { readRecord } from '../src/report/write.ts';
import { figureText } from './benchmark.ts';

/**
 * Prints the tables of a document from committed results: `npm run readme` rewrites them, a test compares.
 * A table stands between `<!-- table:NAME -->` and `<!-- /table -->`.
 */

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Heads of columns. */
const left = (title: string) => ({ title, align: 'left' as const });
const right = (title: string) => ({ title, align: 'right' as const });

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
  const judges = `Judged on ${saved.validation.join(', ')}; the mean of the ten training groups scores ${saved.groupMean.toFixed(3)} (seed 0). Commit ${saved.commit}.`;
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
function spread(values: readonly number[]): [mean: number, deviation: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / (values.length - 1))];
}

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

interface SavedPredictors {
  readonly commit: string;
  readonly seeds: readonly number[];
  readonly rows: readonly {
    readonly label: string;
    readonly scores: readonly { mean: number; worst: number; cov: number; ece: number }[];
  }[];
}

function predictorSeedsTable(): string {
  const path = at('experiments/predictors/seeds.json');
  const saved: SavedPredictors = JSON.parse(readFileSync(path, 'utf8'));
  const columns = [left('predictor'), ...['unseen mean', 'spread', 'worst', 'CoV', 'ECE'].map(right)];
  const cells = saved.rows.map(({ label, scores }) => {
    const [mean, deviation] = spread(scores.map((score) => score.mean));
    const [worst] = spread(scores.map((score) => score.worst));
    const [cov] = spread(scores.map((score) => score.cov));
    const [ece] = spread(scores.map((score) => score.ece));
    return [
      label,
      mean.toFixed(4),
      deviation.toFixed(4),
      ...[worst, cov, ece].map((figure) => figure.toFixed(3)),
    ];
  });
  return `${markdownTable(columns, cells)}\n\nMeans over seeds ${saved.seeds.join(', ')} on one split. Commit ${saved.commit}.`;
}

/** What belongs between the marks of a table. */
const TABLES: Readonly<Record<string, () => string>> = {
  quickstart: () => experimentTable('experiments/quickstart'),
  gpo: () => experimentTable('experiments/gpo'),
  settings: () => settingsTable('experiments/gpo/settings.json'),
  'predictor-seeds': predictorSeedsTable,
  predictors: () => settingsTable('experiments/predictors/choose.json'),
  memory: () => benchmarkTable('memory'),
  engine: () => benchmarkTable('engine'),
  paper: () => benchmarkTable('paper'),
  fold: () => benchmarkTable('fold'),
  mask: () => benchmarkTable('mask'),
  seal: () => benchmarkTable('seal'),
  masking: seedsTable,
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
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of DOCUMENTS) writeFileSync(at(path), withTables(readFileSync(at(path), 'utf8')));
}
