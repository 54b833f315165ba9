import { invariant } from '../core/errors.ts';
import type { Batch } from '../predictor/batch.ts';
import { type FeatureSource, type Feeds, GRAPH_NAMES } from '../predictor/predictor.ts';
import { type DeviceSession, type Held, openDeviceSession, release } from './device-session.ts';
import type { Engine, EngineSetup } from './engine.ts';
import type { GradientResult, OptimizerSnapshot } from './jobs.ts';
import { adamFactors } from './optimizer.ts';
import { type DeviceTable, openTransfer, type Transfer, uploadTable } from './transfer.ts';

/** What stays on the device between steps. */
interface State {
  readonly parameters: Held;
  readonly first: Held;
  readonly second: Held;
  readonly steps: number;
}

const AFTER = [GRAPH_NAMES.parametersAfter, GRAPH_NAMES.firstAfter, GRAPH_NAMES.secondAfter];

/**
 * Parameters, moments and the table of features stay on the device, and the graph takes Adam's step: a step uploads the indices and
 * shares of a batch and fetches a loss.
 */
export class ResidentEngine implements Engine {
  readonly #setup: EngineSetup;
  readonly #source: FeatureSource;
  readonly #sessions = new Map<string, Promise<DeviceSession>>();
  #transfer: Promise<Transfer> | undefined;
  #state: State | undefined;
  #table: { readonly rows: Float32Array; readonly onDevice: DeviceTable } | undefined;

  constructor(setup: EngineSetup) {
    this.#setup = setup;
    this.#source = setup.features === 'float16' ? 'half-table' : 'table';
  }

  async load(parameters: Float32Array, optimizer: OptimizerSnapshot | null): Promise<void> {
    const transfer = await this.#opened();
    this.#drop();
    const { length } = parameters;
    this.#state = {
      parameters: await transfer.up(Float32Array.from(parameters)),
      first: await transfer.up(optimizer?.first ?? new Float32Array(length)),
      second: await transfer.up(optimizer?.second ?? new Float32Array(length)),
      steps: optimizer?.steps ?? 0,
    };
  }

  async step(batch: Batch, learningRate: number): Promise<number> {
    const { predictor, optimizer } = this.#setup;
    const session = await this.#session('step', AFTER, () =>
      predictor.stepGraph(optimizer, { features: this.#source }),
    );
    const before = this.#now();
    const steps = before.steps + 1;
    const { stepSize, secondScale, keep } = adamFactors(steps, learningRate, optimizer);
    const figures = Float32Array.of(stepSize, secondScale, keep);
    const feeds = {
      ...predictor.feeds(batch, this.#source),
      [GRAPH_NAMES.figures]: { type: 'float32' as const, data: figures, dims: [3] },
    };
    const { parameters, first, second } = before;
    const table = await this.#tableOf(batch);
    const outputs = await session.run(feeds, {
      [GRAPH_NAMES.parameters]: parameters,
      [GRAPH_NAMES.first]: first,
      [GRAPH_NAMES.second]: second,
      [GRAPH_NAMES.features]: table,
    });
    this.#drop();
    this.#state = {
      parameters: outputs.held(GRAPH_NAMES.parametersAfter),
      first: outputs.held(GRAPH_NAMES.firstAfter),
      second: outputs.held(GRAPH_NAMES.secondAfter),
      steps,
    };
    return outputs.values(GRAPH_NAMES.loss)[0]!;
  }

  async gradient(batch: Batch): Promise<GradientResult> {
    const { predictor } = this.#setup;
    const outputs = await this.#run('gradient', batch, () =>
      predictor.trainingGraph({ features: this.#source }),
    );
    return { loss: outputs.values(GRAPH_NAMES.loss)[0]!, gradient: outputs.values(GRAPH_NAMES.gradient) };
  }

  async predict(batch: Batch): Promise<Float32Array> {
    const { predictor } = this.#setup;
    const outputs = await this.#run('prediction', batch, () =>
      predictor.predictionGraph({ features: this.#source }),
    );
    return outputs.values(GRAPH_NAMES.probabilities);
  }

  async parameters(): Promise<Float32Array> {
    return (await this.#opened()).down(this.#now().parameters);
  }

  async optimizer(): Promise<OptimizerSnapshot> {
    const { first, second, steps } = this.#now();
    const transfer = await this.#opened();
    return {
      first: await transfer.down(first),
      second: await transfer.down(second),
      steps,
    };
  }

  async close(): Promise<void> {
    this.#drop();
    await this.#table?.onDevice.close();
    for (const session of this.#sessions.values()) await (await session).close();
    await (await this.#transfer)?.close();
  }

  async #run(name: string, batch: Batch, graph: () => Uint8Array) {
    const session = await this.#session(name, [], graph);
    const feeds: Feeds = this.#setup.predictor.feeds(batch, this.#source);
    return session.run(feeds, {
      [GRAPH_NAMES.parameters]: this.#now().parameters,
      [GRAPH_NAMES.features]: await this.#tableOf(batch),
    });
  }

  #session(name: string, keep: readonly string[], graph: () => Uint8Array): Promise<DeviceSession> {
    const known = this.#sessions.get(name);
    if (known !== undefined) return known;
    const opened = openDeviceSession(graph(), this.#setup.device, keep);
    this.#sessions.set(name, opened);
    return opened;
  }

  #opened(): Promise<Transfer> {
    this.#transfer ??= openTransfer(this.#setup.device);
    return this.#transfer;
  }

  #now(): State {
    invariant(this.#state !== undefined, 'an engine is given parameters before it computes');
    return this.#state;
  }

  #drop(): void {
    if (this.#state === undefined) return;
    for (const held of [this.#state.parameters, this.#state.first, this.#state.second]) release(held);
    this.#state = undefined;
  }

  /** The features of a batch on the device: uploaded once as long as batches have the same table. */
  async #tableOf({ table, width }: Batch): Promise<Held> {
    if (this.#table?.rows !== table) {
      await this.#table?.onDevice.close();
      const { device, features } = this.#setup;
      this.#table = { rows: table, onDevice: await uploadTable(table, width, features, device) };
    }
    return this.#table.onDevice.held;
  }
}
