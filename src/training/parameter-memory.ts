import { PluralError } from '../core/errors.ts';
import { ADAM_KERNEL } from './adam-kernel.ts';
import type { OptimizerSnapshot } from './jobs.ts';
import { type AdamOptions, adamFactors } from './optimizer.ts';

const PAGE_BYTES = 65_536;
/** What WebAssembly addresses with 32 bits. */
const MOST_BYTES = 2 ** 32 - PAGE_BYTES;
/** The kernel takes so many parameters at a time. */
const LANES = 4;
/** Parameter, gradient and two moments in float32. */
const BYTES_PER_PARAMETER = 16;

type AdamKernel = (
  ...figures: readonly [
    parameters: number,
    gradient: number,
    first: number,
    second: number,
    count: number,
    beta1: number,
    beta2: number,
    rate1: number,
    rate2: number,
    stepSize: number,
    secondScale: number,
    epsilon: number,
    keep: number,
  ]
) => void;

/** What of WebAssembly's interface is used here: it is no part of the language's own types. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, object>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

const compiled = new WebAssembly.Module(Buffer.from(ADAM_KERNEL, 'base64'));

/**
 * Parameters, their gradient and Adam's moments side by side in one WebAssembly memory, which ONNX Runtime reads and writes without
 * copies and where a step of Adam runs on vector instructions: several times as fast as in JavaScript, and the same bits.
 */
export class ParameterMemory {
  /** float32 [size]; stays at its place. */
  readonly parameters: Float32Array;
  /** float32 [size], for the engine to write. */
  readonly gradient: Float32Array;
  readonly #first: Float32Array;
  readonly #second: Float32Array;
  readonly #adam: AdamKernel;
  readonly #count: number;
  #steps = 0;

  /** ENGINE_FAILED for more parameters than the memory can address. */
  constructor(size: number) {
    // Those too many are 0 and stay 0.
    const count = LANES * Math.ceil(size / LANES);
    const bytes = count * BYTES_PER_PARAMETER;
    if (bytes > MOST_BYTES) {
      throw new PluralError('ENGINE_FAILED', `a predictor of ${size} parameters cannot be trained here`, {
        hint: `At most ${Math.floor(MOST_BYTES / BYTES_PER_PARAMETER)} are possible: choose a smaller predictor.width or fewer layers.`,
      });
    }
    const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / PAGE_BYTES)) });
    const { exports } = new WebAssembly.Instance(compiled, { training: { memory } });
    this.#adam = exports['adam'] as AdamKernel;
    this.#count = count;
    const part = (index: number) => new Float32Array(memory.buffer, 4 * count * index, size);
    this.parameters = part(0);
    this.gradient = part(1);
    this.#first = part(2);
    this.#second = part(3);
  }

  /** Takes over moments; null: those before the first step. */
  begin(optimizer: OptimizerSnapshot | null): void {
    this.#steps = optimizer?.steps ?? 0;
    if (optimizer === null) {
      this.#first.fill(0);
      this.#second.fill(0);
      return;
    }
    this.#first.set(optimizer.first);
    this.#second.set(optimizer.second);
  }

  /** One step of Adam on `gradient`, in place: `adamStep` of optimizer.ts, bit for bit. */
  step(learningRate: number, options: AdamOptions): void {
    this.#steps++;
    const { beta1, beta2, rate1, rate2, stepSize, secondScale, epsilon, keep } = adamFactors(
      this.#steps,
      learningRate,
      options,
    );
    const addresses = [this.parameters, this.gradient, this.#first, this.#second] as const;
    const [parameters, gradient, first, second] = addresses.map(({ byteOffset }) => byteOffset);
    this.#adam(
      parameters!,
      gradient!,
      first!,
      second!,
      this.#count,
      beta1,
      beta2,
      rate1,
      rate2,
      stepSize,
      secondScale,
      epsilon,
      keep,
    );
  }

  /** A copy of the moments. */
  snapshot(): OptimizerSnapshot {
    return { first: this.#first.slice(), second: this.#second.slice(), steps: this.#steps };
  }
}
