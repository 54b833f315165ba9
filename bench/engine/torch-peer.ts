import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const SCRIPT = new URL('../peers/gpo_torch.py', import.meta.url);
/** The Python with PyTorch to compare with, as a command line; default python3. */
const COMMAND = (process.env['PLURALLLM_BENCH_PYTHON'] ?? 'python3').split(' ');

export type Answer = Readonly<Record<string, unknown>>;

/** bench/peers/gpo_torch.py as a process that answers one request after the other. */
export class TorchPeer {
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, version: string) {
    this.#child = child;
    this.#lines = lines;
    this.version = version;
  }

  /** Starts it with one thread; a reason where no Python with PyTorch is found. */
  static async start(): Promise<TorchPeer | string> {
    const [program = 'python3', ...flags] = COMMAND;
    // Debian's OpenBLAS is told of its processor's kernel by these on some machines, and then is slow.
    const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
    const args = [...flags, '-c', readFileSync(SCRIPT, 'utf8')];
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    const failed = once(child, 'error').then(() => 'no Python');
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    child.stdin!.on('error', () => undefined);
    child.stdin!.write('{"do":"threads","count":1}\n{"do":"about"}\n');
    const about = (async () => {
      await lines.next();
      const { value } = await lines.next();
      return value === undefined ? 'no PyTorch' : String(JSON.parse(value)['torch']);
    })();
    const found = await Promise.race([failed, about]);
    return found.startsWith('no ')
      ? `${found} at "${COMMAND.join(' ')}"`
      : new TorchPeer(child, lines, found);
  }

  async ask(request: Answer): Promise<Answer> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error('the PyTorch peer ended');
    const answer: Answer = JSON.parse(value);
    if (answer['error'] !== undefined) throw new Error(`the PyTorch peer: ${answer['error']}`);
    return answer;
  }

  /** The times of a request that is timed by the peer itself, in ms. */
  async times(request: Answer): Promise<number[]> {
    return (await this.ask(request))['ms'] as number[];
  }

  stop(): void {
    this.#child.stdin!.end();
    this.#child.kill();
  }
}
