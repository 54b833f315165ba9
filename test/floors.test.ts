import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** Floor of each folder. */
type Floors = Readonly<Record<string, number>>;

/**
 * The architecture's document. The folders of src/ are the stages of a round; each stands on a floor, and a file
 * may import from its own folder and from folders on lower floors, never from the same floor or a higher one.
 * A row without a folder is a part that is planned and not there yet.
 */
const FLOORS: Floors = {
  core: 0,
  wire: 1,
  data: 1,
  graph: 1,
  features: 2,
  predictor: 2,
  privacy: 2,
  strategy: 2,
  training: 3,
  sharding: 4,
  config: 4,
  round: 4,
  evaluate: 4,
  report: 5,
  server: 5,
  client: 5,
  simulate: 6,
  commands: 7,
};

/** The entries, above all floors: they may import from everywhere and nobody imports them. */
const ENTRIES: readonly string[] = ['cli.ts', 'index.ts'];
const TOP_FLOOR = 8;

/** Folders that could be published on their own: of our code they may import only what is listed. */
const STANDALONE: Readonly<Record<string, readonly string[]>> = { graph: ['core'] };

/** Source text by path under src/, with forward slashes. */
type Sources = ReadonlyMap<string, string>;

/** Comments cut out; strings are matched too, so that a `//` inside one is left alone. */
function withoutComments(source: string): string {
  const stringOrComment =
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return source.replace(stringOrComment, (_, string?: string) => string ?? ' ');
}

/** Specifiers of static, side-effect, re-export, type and dynamic imports; null for one that is computed. */
function importsOf(source: string): (string | null)[] {
  const text = withoutComments(source);
  const stated = text.matchAll(/\b(?:import|export)\b[^'"`;()=]*?\bfrom\s*(['"])(.*?)\1/g);
  const bare = text.matchAll(/\bimport\s*(['"])(.*?)\1/g);
  const called = text.matchAll(/(?<![.\w])import\s*\(\s*(?:(['"])(.*?)\1)?/g);
  return [...stated, ...bare, ...called].map(([, , specifier]) => specifier ?? null);
}

function folderOf(path: string): string | null {
  const slash = path.indexOf('/');
  return slash < 0 ? null : path.slice(0, slash);
}

function floorOf(path: string, floors: Floors): number | undefined {
  const folder = folderOf(path);
  if (folder === null) return ENTRIES.includes(path) ? TOP_FLOOR : undefined;
  return Object.hasOwn(floors, folder) ? floors[folder] : undefined;
}

/** Edges between files of src/, plus a finding for each import that cannot be followed. */
function edgesOf(sources: Sources): { edges: Map<string, string[]>; findings: string[] } {
  const findings: string[] = [];
  const edges = new Map<string, string[]>();
  for (const [path, source] of sources) {
    const targets: string[] = [];
    for (const specifier of importsOf(source)) {
      if (specifier === null) findings.push(`${path}: a dynamic import must name its file`);
      if (!specifier?.startsWith('.')) continue;
      const target = posix.join(posix.dirname(path), specifier);
      if (sources.has(target)) targets.push(target);
      else findings.push(`${path}: imports ${specifier}, which is not a file of src/`);
    }
    edges.set(path, targets);
  }
  return { edges, findings };
}

function edgeFinding(from: string, to: string, floors: Floors): string | null {
  const [folder, other] = [folderOf(from), folderOf(to)];
  if (folder === other && folder !== null) return null;
  const [floor, otherFloor] = [floorOf(from, floors), floorOf(to, floors)];
  if (floor === undefined || otherFloor === undefined) return null;
  if (otherFloor >= floor) return `${from} (floor ${floor}) imports ${to} (floor ${otherFloor})`;
  const allowed = folder === null ? undefined : STANDALONE[folder];
  const foreign = allowed !== undefined && !allowed.includes(String(other));
  return foreign ? `${from} imports ${to}, but ${folder}/ stands on its own` : null;
}

/** One cycle as `a -> b -> a`, if there is any. */
function cycleIn(edges: ReadonlyMap<string, readonly string[]>): string | null {
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path].join(' -> ');
    if (done.has(path)) return null;
    for (const target of edges.get(path) ?? []) {
      const cycle = visit(target, [...trail, path]);
      if (cycle !== null) return cycle;
    }
    done.add(path);
    return null;
  };
  for (const path of edges.keys()) {
    const cycle = visit(path, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

/** Everything that breaks the architecture, in words. */
function findingsIn(sources: Sources, floors: Floors = FLOORS): string[] {
  const { edges, findings } = edgesOf(sources);
  for (const path of sources.keys()) {
    if (floorOf(path, floors) === undefined) findings.push(`${path} stands on no floor`);
  }
  for (const [from, targets] of edges) {
    const broken = targets.map((to) => edgeFinding(from, to, floors));
    findings.push(...broken.filter((finding) => finding !== null));
  }
  const cycle = cycleIn(edges);
  if (cycle !== null) findings.push(`import cycle: ${cycle}`);
  return findings;
}

function readSources(): Sources {
  const root = fileURLToPath(new URL('../src', import.meta.url));
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\.m?ts$|\.mjs$/.test(path),
  );
  return new Map(paths.map((path) => [path.split(sep).join('/'), readFileSync(join(root, path), 'utf8')]));
}

describe('the floors of src/', () => {
  const sources = readSources();

  test('imports only go down', () => {
    expect(findingsIn(sources)).toEqual([]);
  });

  test('the reader sees the imports of real files', () => {
    const { edges } = edgesOf(sources);
    expect(edges.get('training/worker.dev.mjs')).toEqual(['training/worker.ts']);
    expect(edges.get('core/digest.ts')).toEqual([]);
    expect(edges.get('wire/model.ts')).toContain('core/brand.ts');
    expect(edges.get('wire/model.ts')).toContain('wire/stages.ts');
  });
});

describe('the checker can fail', () => {
  const FINE: Readonly<Record<string, string>> = {
    'core/errors.ts': 'export const a = 1;',
    'wire/stages.ts': "import { a } from '../core/errors.ts';\nexport const b = a;",
    'graph/node.ts': "import { TensorProto } from 'onnx-buf';\nimport { a } from '../core/errors.ts';",
    'data/survey.ts': '',
    'features/text/a.ts': "import { b } from '../b.ts';",
    'features/b.ts': "import type { Survey } from '../data/survey.ts';",
    'cli.ts': "import { b } from './features/b.ts';",
  };
  const findingsWith = (changes: Readonly<Record<string, string>>, floors?: Floors) =>
    findingsIn(new Map(Object.entries({ ...FINE, ...changes })), floors);

  test('not on what is allowed', () => {
    expect(findingsWith({})).toEqual([]);
  });

  const upward = ['core/errors.ts (floor 0) imports data/survey.ts (floor 1)'];
  test.each([
    ['static', "import { x } from '../data/survey.ts';"],
    ['over several lines', "import {\n  x,\n  y,\n} from '../data/survey.ts';"],
    ['default and names', 'import z, { x } from "../data/survey.ts";'],
    ['namespace', "import * as x from '../data/survey.ts';"],
    ['type', "import type { Survey } from '../data/survey.ts';"],
    ['side effect', "import '../data/survey.ts';"],
    ['re-export', "export { x } from '../data/survey.ts';"],
    ['star re-export', "export * from '../data/survey.ts';"],
    ['type re-export', "export type { Survey } from '../data/survey.ts';"],
    ['dynamic', "const x = await import('../data/survey.ts');"],
    ['type query', "let x: import('../data/survey.ts').Survey;"],
    ['after a comment', "/* a 'quote */ import { x } from '../data/survey.ts'; // import './y.ts'"],
  ])('on an upward import: %s', (_, source) => {
    expect(findingsWith({ 'core/errors.ts': source })).toEqual(upward);
  });

  test('not on imports that are only spoken of', () => {
    const source = [
      "// import { x } from '../data/survey.ts';",
      "/** Like `import '../data/survey.ts'` */",
      "const url = 'https://example.org'; const glob = 'src/**/*.ts';",
    ].join('\n');
    expect(findingsWith({ 'core/errors.ts': source })).toEqual([]);
  });

  test('on an import from another folder of the same floor', () => {
    expect(findingsWith({ 'wire/stages.ts': "import { x } from '../data/survey.ts';" })).toEqual([
      'wire/stages.ts (floor 1) imports data/survey.ts (floor 1)',
    ]);
  });

  test('on an import of an entry', () => {
    expect(findingsWith({ 'features/b.ts': "import { main } from '../cli.ts';" })).toEqual([
      'features/b.ts (floor 2) imports cli.ts (floor 8)',
      'import cycle: features/b.ts -> cli.ts -> features/b.ts',
    ]);
    expect(findingsWith({ 'index.ts': "import './cli.ts';" })).toEqual([
      'index.ts (floor 8) imports cli.ts (floor 8)',
    ]);
  });

  test('on a cycle between files of one folder, also of types', () => {
    expect(findingsWith({ 'features/b.ts': "import type { A } from './text/a.ts';" })).toEqual([
      'import cycle: features/text/a.ts -> features/b.ts -> features/text/a.ts',
    ]);
    expect(findingsWith({ 'data/survey.ts': "import './survey.ts';" })).toEqual([
      'import cycle: data/survey.ts -> data/survey.ts',
    ]);
  });

  test('on a folder or a file that is not in the table', () => {
    expect(findingsWith({ 'helpers/a.ts': '', 'main.ts': '', 'constructor/a.ts': '' })).toEqual([
      'helpers/a.ts stands on no floor',
      'main.ts stands on no floor',
      'constructor/a.ts stands on no floor',
    ]);
  });

  test('on an import that leads nowhere, or out of src/, or that is computed', () => {
    expect(findingsWith({ 'data/survey.ts': "import './gone.ts';" })).toHaveLength(1);
    expect(findingsWith({ 'data/survey.ts': "import x from '../../package.json';" })).toHaveLength(1);
    expect(findingsWith({ 'data/survey.ts': 'await import(path);' })).toEqual([
      'data/survey.ts: a dynamic import must name its file',
    ]);
  });

  test('on graph/ importing anything of ours but core/, whatever the floors say', () => {
    const change = { 'graph/node.ts': "import type { Survey } from '../data/survey.ts';" };
    expect(findingsWith(change, { ...FLOORS, data: 0 })).toEqual([
      'graph/node.ts imports data/survey.ts, but graph/ stands on its own',
    ]);
    expect(findingsWith(change)).toEqual(['graph/node.ts (floor 1) imports data/survey.ts (floor 1)']);
  });
});
