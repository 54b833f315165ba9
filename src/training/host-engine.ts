import { Scratch } from '../core/scratch.ts';
import type { Batch } from '../predictor/batch.ts';
import { type LayoutPart, partsOf } from '../predictor/layout.ts';
import { partGradient, partInput } from '../predictor/parameter-views.ts';
import { type Feeds, GRAPH_NAMES, type GraphOptions, withParameters } from '../predictor/predictor.ts';
import type { Engine, EngineSetup } from './engine.ts';
import type { GradientResult, OptimizerSnapshot } from './jobs.ts';
import { ParameterMemory } from './parameter-memory.ts';
import { addPull, type ProximalPull } from './proximal.ts';
import type { GraphSession, Places } from './session.ts';
import { sharedSession } from './session-cache.ts';

/** Parameters and moments in this process's memory; each step feeds the parameters to the session and fetches the gradient. */
export class HostEngine implements Engine {
  readonly #setup: EngineSetup;
  readonly #memory: ParameterMemory;
  readonly #graph: GraphOptions;
  /** Where the parts of the gradient go, and what the inputs of large tensors read: views of the memory. */
  readonly #gradient: Places;
  readonly #large: Feeds;
  readonly #scratch = new Scratch();
  #pull: ProximalPull | null = null;
  #training: Promise<GraphSession> | undefined;
  #prediction: Promise<GraphSession> | undefined;

  constructor(setup: EngineSetup) {
    this.#setup = setup;
    this.#graph = { apart: true, operators: setup.device === 'cpu' ? 'cpu' : 'common' };
    const { layout } = setup.predictor;
    this.#memory = new ParameterMemory(layout.size);
    const { parameters, gradient } = this.#memory;
    const parts = partsOf(layout);
    this.#gradient = Object.fromEntries(parts.map((part) => [partGradient(part), viewOf(gradient, part)]));
    this.#large = Object.fromEntries(
      parts.flatMap((part) => {
        if (part.entry === null) return [];
        return [[partInput(part.entry.name), { type: 'float32' as const, ...viewOf(parameters, part) }]];
      }),
    );
  }

  async load(parameters: Float32Array): Promise<void> {
    this.#memory.parameters.set(parameters);
  }

  async begin(optimizer: OptimizerSnapshot | null, proximal = 0): Promise<void> {
    this.#memory.begin(optimizer);
    this.#pull = proximal === 0 ? null : { proximal, anchor: this.#memory.parameters.slice() };
  }

  async step(batch: Batch, learningRate: number): Promise<number> {
    const loss = await this.differentiate(batch);
    if (this.#pull !== null) addPull(this.#memory, this.#pull);
    this.#memory.step(learningRate, this.#setup.optimizer);
    return loss;
  }

  async gradient(batch: Batch): Promise<GradientResult> {
    const loss = await this.differentiate(batch);
    return { loss, gradient: this.#memory.gradient.slice() };
  }

  async predict(batch: Batch): Promise<Float32Array> {
    const { predictor, device } = this.#setup;
    this.#prediction ??= sharedSession(predictor.predictionGraph(this.#graph), device);
    const session = await this.#prediction;
    return (await session.run(this.#feeds(batch)))[GRAPH_NAMES.probabilities]!;
  }

  async parameters(): Promise<Float32Array> {
    return this.#memory.parameters.slice();
  }

  async optimizer(): Promise<OptimizerSnapshot> {
    return this.#memory.snapshot();
  }

  /** Nothing: sessions are shared. */
  async close(): Promise<void> {}

  /** The loss of a batch; its gradient stays in the engine's memory. */
  async differentiate(batch: Batch): Promise<number> {
    const { predictor, device } = this.#setup;
    this.#training ??= sharedSession(predictor.trainingGraph(this.#graph), device);
    const session = await this.#training;
    const outputs = await session.run(this.#feeds(batch), this.#gradient);
    return outputs[GRAPH_NAMES.loss]![0]!;
  }

  #feeds(batch: Batch): Feeds {
    const feeds = this.#setup.predictor.feeds(batch, 'fed', this.#scratch);
    return { ...withParameters(feeds, this.#memory.parameters), ...this.#large };
  }
}

/** A part of a flat vector as a tensor, without a copy. */
function viewOf(vector: Float32Array, { offset, size, shape }: LayoutPart) {
  return { data: vector.subarray(offset, offset + size), dims: shape };
}
