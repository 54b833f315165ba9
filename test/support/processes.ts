import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, inject } from 'vitest';
import { type Finished, ROOT } from './cli.ts';

/** How long something may take before a test that waits for it gives up; the machine may be busy. */
const PATIENCE_MS = 180_000;

/** Ends a process whose test is gone: nothing that was started may stay. Every second a look at who the parent is. */
const GUARD = `const parent = process.ppid; setInterval(() => process.ppid === parent || process.exit(99), 1000).unref();`;
const GUARDED = ['--import', `data:text/javascript,${encodeURIComponent(GUARD)}`];

/** What a process has said so far. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the command line that goes on while the test looks at what it says. */
export class Running {
  readonly args: readonly string[];
  /** Resolves when it is over and all of its output is there. */
  readonly ended: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #looks = new Set<() => void>();
  #said: Said = { stdout: '', stderr: '' };
  #over = false;

  constructor(child: ChildProcess, args: readonly string[]) {
    this.args = args;
    this.#child = child;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
        this.#said = { ...this.#said, [name]: this.#said[name] + chunk };
        for (const look of [...this.#looks]) look();
      });
    }
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.#over = true;
        for (const look of [...this.#looks]) look();
        resolve({ code, signal, ...this.#said });
      });
    });
  }

  get said(): Said {
    return this.#said;
  }

  get over(): boolean {
    return this.#over;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first answer of `look` that is not null, asked whenever something was said. Fails when the process ends first. */
  until<Found>(what: string, look: (said: Said) => Found | null): Promise<Found> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#looks.delete(again);
        act();
      };
      const fail = (why: string) => {
        const { stdout, stderr } = this.#said;
        const words = `${this.args.join(' ')}: ${why} ${what}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`;
        settle(() => reject(new Error(words)));
      };
      const timer = setTimeout(() => fail('waited in vain for'), PATIENCE_MS);
      const again = () => {
        const found = look(this.#said);
        if (found !== null) settle(() => resolve(found));
        else if (this.#over) fail('ended before');
      };
      this.#looks.add(again);
      again();
    });
  }

  /** Waits for its end; fails unless it ended well. */
  async succeeded(): Promise<Finished> {
    const finished = await this.ended;
    if (finished.code === 0) return finished;
    const { code, signal, stdout, stderr } = finished;
    const end = signal === null ? `exit code ${code}` : signal;
    throw new Error(`${this.args.join(' ')}: ${end}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`);
  }
}

/** The command line as JavaScript. */
export interface CommandLine {
  /** `env` adds to the environment; undefined takes a variable out. */
  start(args: readonly string[], env?: Readonly<Record<string, string | undefined>>): Running;
  /** Runs a command to its end; fails unless it ended well. */
  run(args: readonly string[]): Promise<Finished>;
}

/** The compiled command line; its processes are gone when the tests of a file are done. */
export function commandLine(): CommandLine {
  const entry = inject('entry');
  const started = new Set<Running>();
  afterAll(async () => {
    for (const running of started) if (!running.over) running.kill('SIGKILL');
    await Promise.all([...started].map(({ ended }) => ended));
  });
  const start: CommandLine['start'] = (args, env = {}) => {
    const child = spawn(process.execPath, [...GUARDED, entry, ...args], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running = new Running(child, args);
    started.add(running);
    return running;
  };
  return { start, run: (args) => start(args).succeeded() };
}
