import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { textTable } from '../src/report/table.ts';
import { ownCommit } from '../src/simulate/environment.ts';
import { type Benchmark, figureText } from './benchmark.ts';
import { engine } from './engine/engine.ts';
import { paper } from './engine/paper.ts';
import { fold } from './fold.ts';
import { maskBenchmark } from './mask.ts';
import { memory } from './memory.ts';
import { sealBenchmark } from './seal.ts';
import { shardingBenchmark } from './sharding.ts';

/** `npm run bench -- <name> [--json] [--save]`: runs one benchmark; --save writes bench/results/<name>.json. */
const BENCHMARKS: readonly Benchmark[] = [
  engine,
  fold,
  maskBenchmark,
  memory,
  paper,
  sealBenchmark,
  shardingBenchmark,
];

const [name, ...flags] = process.argv.slice(2);
const benchmark = BENCHMARKS.find((candidate) => candidate.name === name);
if (benchmark === undefined) {
  const known = BENCHMARKS.map((candidate) => `  ${candidate.name}: ${candidate.describe}`).join('\n');
  process.stderr.write(`Name a benchmark:\n${known}\n`);
  process.exit(2);
}
const rows = await benchmark.run();
const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}`;
const result = { benchmark: benchmark.name, machine, commit: ownCommit(), seed: 0, rows };
if (flags.includes('--save')) {
  const path = fileURLToPath(new URL(`./results/${benchmark.name}.json`, import.meta.url));
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
}
if (flags.includes('--json')) process.stdout.write(`${JSON.stringify(result)}\n`);
else {
  const columns = [
    { title: 'figure', align: 'left' as const },
    { title: 'value', align: 'right' as const },
    { title: 'ratio', align: 'right' as const },
  ];
  const cells = rows.map(({ name: figure, value, unit, ratio }) => [
    figure,
    `${figureText(value)} ${unit}`,
    ratio === undefined ? '' : ratio.toFixed(2),
  ]);
  process.stdout.write(`${textTable(columns, cells)}\n${machine}, commit ${result.commit}\n`);
}
