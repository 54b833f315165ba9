/** Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) with torch's defaults and order of operations. */
export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay per step, times the learning rate; 0 is plain Adam. */
  readonly weightDecay: number;
}

export const ADAM_DEFAULTS: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

/** First and second moments, each [parameters], and the number of steps taken. */
export interface AdamState {
  readonly first: Float64Array;
  readonly second: Float64Array;
  steps: number;
}

/** The state before the first step. */
export function freshAdam(size: number): AdamState {
  return { first: new Float64Array(size), second: new Float64Array(size), steps: 0 };
}

/** One step in place: arithmetic in float64, parameters kept in float32. */
export function adamStep(
  parameters: Float32Array,
  gradient: Float32Array | Float64Array,
  state: AdamState,
  learningRate: number,
  { beta1, beta2, epsilon, weightDecay }: AdamOptions = ADAM_DEFAULTS,
): void {
  state.steps++;
  const stepSize = learningRate / (1 - beta1 ** state.steps);
  const secondScale = 1 / Math.sqrt(1 - beta2 ** state.steps);
  const keep = 1 - learningRate * weightDecay;
  const { first, second } = state;
  for (let i = 0; i < parameters.length; i++) {
    const g = gradient[i]!;
    const m = beta1 * first[i]! + (1 - beta1) * g;
    const v = beta2 * second[i]! + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    parameters[i] = parameters[i]! * keep - (stepSize * m) / (Math.sqrt(v) * secondScale + epsilon);
  }
}
