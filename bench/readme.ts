import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { OverSeeds } from '../experiments/over-seeds.ts';
import type { Unextractable } from '../experiments/unextractable/unextractable.ts';
import { formatBytes } from '../src/core/bytes.ts';
import type { SplitName, Summary } from '../src/evaluate/evaluation.ts';
import type { GridSummary } from '../src/report/grid/summary.ts';
import { comparisonMarkdown, markdownTable } from '../src/report/table.ts';
import { readRecord } from '../src/report/write.ts';
import { figureText } from './benchmark.ts';
import { communicationPlot, type Sent } from './communication-plot.ts';

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

/** Mean, and the deviation where there are several. */
function withSpread(values: readonly number[]): string {
  const [mean, deviation] = spread(values);
  return values.length < 2 ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`;
}

/** First digits of the config digests, and what they were run from. */
function provenance(seeds: readonly number[], digests: readonly string[], commit: string | null): string {
  const configs = [...new Set(digests)].map((digest) => digest.slice(0, 8)).join(', ');
  return `Seeds ${seeds.join(', ')} on one split; commit ${commit}; config digests ${configs}.`;
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

/** Methods of a grid over the countries: means over all answered questions, and over the countries' own means. */
function countriesTable(path: string): string {
  const saved: GridSummary = JSON.parse(readFileSync(at(path), 'utf8'));
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
  const digests = saved.cells.map(({ configDigest }) => configDigest);
  return `${markdownTable(columns, cells)}\n\n${provenance(saved.seeds, digests, saved.cells[0]!.commit)}`;
}

function unextractable(): Unextractable {
  return JSON.parse(readFileSync(at('experiments/unextractable/unextractable.json'), 'utf8'));
}

/** What shards are worth, with what is needed beside them. A highest score is shown where there are several draws. */
function unextractableTable(): string {
  const { rows, chance, seeds, passes, commit } = unextractable();
  const columns = [
    left('what is put together'),
    left('needs'),
    ...['cost', 'unseen mean', 'above chance', 'highest draw'].map(right),
  ];
  const cells = rows.map(({ label, needs, cost, scores, highest }) => {
    const drawn = highest.some((score, i) => score > scores[i]!);
    return [
      label,
      needs,
      cost === null ? '' : `${(100 * cost).toFixed(1)}%`,
      withSpread(scores),
      // Adding 0 takes the sign off a zero.
      (Number((spread(scores)[0] - spread(chance)[0]).toFixed(3)) + 0).toFixed(3),
      drawn ? Math.max(...highest).toFixed(3) : '',
    ];
  });
  const from = `Seeds ${seeds.join(', ')} on one split; a training is ${passes} passes of a task; commit ${commit}.`;
  return `${markdownTable(columns, cells)}\n\n${from}`;
}

/** Noise at the cut: what it costs, and what the first keeper finds under it. */
function cutTable(): string {
  const { cut, seeds, commit } = unextractable();
  const [{ tellings }] = cut[0] as [(typeof cut)[number][number]];
  const columns = [
    'noise',
    'trained with it',
    'asked with it',
    'asked, answers alone',
    'error, one frame',
    `error, ${tellings} frames`,
    'error, no frame',
    'questions found',
  ].map(right);
  const cells = cut.map((outcomes) => {
    const figure = (name: Exclude<keyof (typeof outcomes)[number], 'deviation' | 'tellings'>) =>
      outcomes.map((outcome) => outcome[name]);
    const errorOf = (name: 'once' | 'often' | 'blind') => spread(figure(name))[0].toFixed(3);
    return [
      String(outcomes[0]!.deviation),
      ...(['trainedWith', 'askedWith', 'onAnswersOnly'] as const).map((name) => withSpread(figure(name))),
      ...(['once', 'often', 'blind'] as const).map(errorOf),
      `${(100 * spread(figure('found'))[0]).toFixed(0)}%`,
    ];
  });
  return `${markdownTable(columns, cells)}\n\nSeeds ${seeds.join(', ')} on one split; commit ${commit}.`;
}

/** What belongs between the marks of a table. */
const TABLES: Readonly<Record<string, () => string>> = {
  quickstart: () => experimentTable('experiments/quickstart'),
  gpo: () => experimentTable('experiments/gpo'),
  settings: () => settingsTable('experiments/gpo/settings.json'),
  'predictor-seeds': () => overSeedsTable('experiments/predictors/seeds.json', 'predictor'),
  communication: () => communicationTable('experiments/pluralllm/communication.json'),
  'communication-gpo': () => communicationTable('experiments/pluralllm/communication-gpo.json'),
  fairness: () => overSeedsTable('experiments/pluralllm/fairness.json', 'strategy'),
  countries: () => countriesTable('experiments/pluralllm/countries.json'),
  predictors: () => settingsTable('experiments/predictors/choose.json'),
  memory: () => benchmarkTable('memory'),
  engine: () => benchmarkTable('engine'),
  paper: () => benchmarkTable('paper'),
  fold: () => benchmarkTable('fold'),
  mask: () => benchmarkTable('mask'),
  seal: () => benchmarkTable('seal'),
  masking: seedsTable,
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
