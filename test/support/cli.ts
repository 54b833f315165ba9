import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, inject } from 'vitest';

/** Root of the checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Looks at each chunk of standard output; may end the process by the given function. */
  readonly watch?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** Shell commands before the start, such as a limit. */
  readonly before?: string;
}

/** Runs the compiled command line as a process of its own. */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  const node = [process.execPath, inject('entry'), ...args];
  const [command, rest] =
    options.before === undefined
      ? [node[0]!, node.slice(1)]
      : ['bash', ['-c', `${options.before}; exec "$0" "$@"`, ...node]];
  const child = spawn(command, rest, {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    options.watch?.(stdout, (signal) => child.kill(signal));
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** A folder that goes with the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Settings that make the quickstart small enough for a test and leave its path as it is. */
export const SMALL = [
  'training.rounds=6',
  'evaluation.every=2',
  'evaluation.draws=1',
  'predictor.width=8',
  'predictor.layers=1',
  'predictor.heads=2',
  'predictor.feedforward=8',
  'protection.name=none',
];

/** The JSON objects that a command printed, one per line. */
export function events(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
