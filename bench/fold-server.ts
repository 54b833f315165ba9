import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const READY_WITHIN_MS = 60_000;
/** How often a restarted process is asked whether it is there. */
const ASK_EVERY_MS = 20;

/** Of times in /proc, on every Linux. */
const CLOCK_TICKS_PER_SECOND = 100;

const lineSchema = z.looseObject({ type: z.string() });
export type LogLine = z.output<typeof lineSchema>;

/** An aggregator in a process of its own, over real sockets. */
export class AggregatorProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #failures: string[] = [];

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    createInterface({ input: child.stderr! }).on('line', (line) => this.#note(line));
  }

  /** Serves a folder and returns when it answers; `nodeOptions` go before the program (a profiler, say). */
  static async serve(
    folder: string,
    port: number,
    nodeOptions: readonly string[] = [],
  ): Promise<AggregatorProcess> {
    const program = ['--import', 'tsx', 'src/cli.ts', 'aggregator', 'serve', folder];
    const flags = ['--port', String(port), '--log-level', 'info'];
    const child = spawn(process.execPath, [...nodeOptions, ...program, ...flags], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: '1', DATABASE_URL: undefined },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const started = new AggregatorProcess(child, port);
    await started.#answers();
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Most memory that the process had at once, as the kernel counted it, in MiB. */
  peakResidentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (peak === undefined) throw new Error('the kernel does not say how much memory the aggregator had');
    return Number(peak) / 1024;
  }

  /** Processor time that it has used, in seconds: less shaken by whatever else the machine does than time on the wall. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything; user and system time are the 12th and 13th field behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
  }

  /** What it logged of a kind. */
  logged(type: string): readonly LogLine[] {
    return this.#lines.filter((line) => line.type === type);
  }

  /** Waits until it logged so many lines of a kind. */
  async until(type: string, count: number, withinMs: number): Promise<LogLine> {
    const end = performance.now() + withinMs;
    for (; performance.now() < end; await wait(ASK_EVERY_MS)) {
      const line = this.logged(type)[count - 1];
      if (line !== undefined) return line;
      this.#checkAlive();
    }
    throw new Error(`the aggregator did not log "${type}" in time: ${this.#failures.slice(-3).join('; ')}`);
  }

  /** Ends it like a power failure would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    await ended;
  }

  #note(line: string): void {
    let read: unknown;
    try {
      read = JSON.parse(line);
    } catch {
      this.#failures.push(line);
      return;
    }
    const parsed = lineSchema.safeParse(read);
    if (parsed.success) this.#lines.push(parsed.data);
    else if (!line.includes('"listening"')) this.#failures.push(line);
  }

  #checkAlive(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) return;
    throw new Error(`the aggregator ended: ${this.#failures.slice(-5).join('\n')}`);
  }

  async #answers(): Promise<void> {
    const end = performance.now() + READY_WITHIN_MS;
    for (; performance.now() < end; await wait(ASK_EVERY_MS)) {
      this.#checkAlive();
      const ready = await fetch(`${this.url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) return;
    }
    await this.kill();
    throw new Error('the aggregator did not start in time');
  }
}
