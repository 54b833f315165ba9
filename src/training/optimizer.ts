/** Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) with torch's defaults and order of operations. */
export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay per step, times the learning rate; 0 is plain Adam. */
  readonly weightDecay: number;
}

export const ADAM_DEFAULTS: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

/** First and second moments, each float32 [parameters], and the number of steps taken. */
export interface AdamState {
  readonly first: Float32Array;
  readonly second: Float32Array;
  steps: number;
}

/** The state before the first step. */
export function freshAdam(size: number): AdamState {
  return { first: new Float32Array(size), second: new Float32Array(size), steps: 0 };
}

/** What a step multiplies with, worked out in float64 and rounded once. */
export interface AdamFactors {
  readonly beta1: number;
  readonly beta2: number;
  /** 1 - beta1 and 1 - beta2. */
  readonly rate1: number;
  readonly rate2: number;
  /** Learning rate / (1 - beta1^t). */
  readonly stepSize: number;
  /** 1 / sqrt(1 - beta2^t). */
  readonly secondScale: number;
  readonly epsilon: number;
  /** What weight decay leaves of a parameter. */
  readonly keep: number;
}

/** The factors of step t, counted from 1. */
export function adamFactors(
  t: number,
  learningRate: number,
  { beta1, beta2, epsilon, weightDecay }: AdamOptions,
): AdamFactors {
  return {
    beta1,
    beta2,
    rate1: 1 - beta1,
    rate2: 1 - beta2,
    stepSize: learningRate / (1 - beta1 ** t),
    secondScale: 1 / Math.sqrt(1 - beta2 ** t),
    epsilon,
    keep: 1 - learningRate * weightDecay,
  };
}

const f = Math.fround;

/** One step in place, in float32 arithmetic as torch's. */
export function adamStep(
  parameters: Float32Array,
  gradient: Float32Array | Float64Array,
  state: AdamState,
  learningRate: number,
  options: AdamOptions = ADAM_DEFAULTS,
): void {
  state.steps++;
  const factors = adamFactors(state.steps, learningRate, options);
  const [beta1, beta2] = [f(factors.beta1), f(factors.beta2)];
  const [rate1, rate2] = [f(factors.rate1), f(factors.rate2)];
  const [stepSize, secondScale] = [f(factors.stepSize), f(factors.secondScale)];
  const [epsilon, keep] = [f(factors.epsilon), f(factors.keep)];
  const { first, second } = state;
  for (let i = 0; i < parameters.length; i++) {
    const g = f(gradient[i]!);
    const m = f(f(beta1 * first[i]!) + f(rate1 * g));
    const v = f(f(beta2 * second[i]!) + f(f(rate2 * g) * g));
    first[i] = m;
    second[i] = v;
    const change = f(f(stepSize * m) / f(f(f(Math.sqrt(v)) * secondScale) + epsilon));
    parameters[i] = f(f(parameters[i]! * keep) - change);
  }
}
