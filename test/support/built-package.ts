import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, type Plugin, type PluginBuild } from 'esbuild';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The command line, compiled from the source as it was when the tests began. */
    entry: string;
  }
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What finds its own files from where it lies, or is loaded by few commands: it stays where it is. */
const LEFT_OUT = ['onnxruntime-node', 'node-seal', '@electric-sql/*', '@aws-sdk/*', 'pino'];

/** Modules of one file each say where they are themselves; in a bundle each says where it would be. */
function placesIn(compiled: string): Plugin {
  const setup = ({ onLoad }: PluginBuild) =>
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      const contents = readFileSync(path, 'utf8');
      if (path.includes('/node_modules/')) return { contents };
      const own = `new URL(${JSON.stringify(`./${relative(compiled, path)}`)}, import.meta.url).href`;
      return { contents: contents.replaceAll('import.meta.url', own) };
    });
  return { name: 'places', setup };
}

/** The JavaScript of the package, as it is published. */
async function compile(compiled: string): Promise<void> {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are checked elsewhere; here only the JavaScript is of use.
  const args = [tsc, '-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--declaration', 'false'];
  await promisify(execFile)(process.execPath, [...args, '--outDir', compiled], { cwd: ROOT });
}

/** The same in few files: the tests start some hundred processes, and each would look for a thousand files. */
async function bundle(compiled: string, built: string): Promise<void> {
  await build({
    entryPoints: [join(compiled, 'cli.js'), join(compiled, 'training/worker.js')],
    outdir: built,
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: LEFT_OUT,
    nodePaths: [join(ROOT, 'node_modules')],
    plugins: [placesIn(compiled)],
    // For packages of CommonJS.
    banner: {
      js: "import { createRequire as requireIn } from 'node:module'; const require = requireIn(import.meta.url);",
    },
    logLevel: 'error',
  });
  mkdirSync(join(built, 'training'));
  writeFileSync(join(built, 'training/worker.js'), "import '../worker.js';\n");
}

/** The source, compiled into a folder that looks like the package, whose processes start in a fraction of the time. */
async function makePackage(place: string): Promise<string> {
  const built = join(place, 'dist');
  await compile(join(place, 'compiled'));
  await bundle(join(place, 'compiled'), built);
  cpSync(join(ROOT, 'src/server/page'), join(built, 'server/page'), { recursive: true });
  for (const name of ['package.json', 'node_modules', 'datasets', 'configs', 'experiments', 'docs', 'test']) {
    symlinkSync(join(ROOT, name), join(place, name));
  }
  return join(built, 'cli.js');
}

/** Once for all test files. */
export default async function setup(project: TestProject): Promise<() => void> {
  const place = mkdtempSync(join(tmpdir(), 'pluralllm-built-'));
  project.provide('entry', await makePackage(place));
  return () => rmSync(place, { recursive: true, force: true });
}
