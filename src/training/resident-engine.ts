import { invariant } from '../core/errors.ts';
import type { Batch } from '../predictor/batch.ts';
import { type FeatureSource, type Feeds, GRAPH_NAMES } from '../predictor/predictor.ts';
import { type DeviceSession, type Held, openDeviceSession, release } from './device-session.ts';
import type { Engine, EngineSetup } from './engine.ts';
import type { GradientResult, OptimizerSnapshot } from './jobs.ts';
import { adamFactors } from './optimizer.ts';
import { type DeviceTable, openTransfer, type Transfer, uploadTable } from './transfer.ts';

/** Adam's moments on the device. */
interface Moments {
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
  #parameters: Held | undefined;
  #moments: Moments | undefined;
  #table: { readonly rows: Float32Array; readonly onDevice: DeviceTable } | undefined;

  constructor(setup: EngineSetup) {
    this.#setup = setup;
    this.#source = setup.features === 'float16' ? 'half-table' : 'table';
  }

  async load(parameters: Float32Array): Promise<void> {
    const transfer = await this.#opened();
    this.#replaceParameters(await transfer.up(Float32Array.from(parameters)));
  }

  async begin(optimizer: OptimizerSnapshot | null, proximal = 0): Promise<void> {
    invariant(proximal === 0, 'configurations with a proximal term are refused on this device');
    const transfer = await this.#opened();
    const fresh = () => new Float32Array(this.#setup.predictor.layout.size);
    this.#replaceMoments({
      first: await transfer.up(optimizer?.first ?? fresh()),
      second: await transfer.up(optimizer?.second ?? fresh()),
      steps: optimizer?.steps ?? 0,
    });
  }

  async step(batch: Batch, learningRate: number): Promise<number> {
    const { predictor, optimizer } = this.#setup;
    const session = await this.#session('step', AFTER, () =>
      predictor.stepGraph(optimizer, { features: this.#source }),
    );
    const { first, second, steps: before } = given(this.#moments);
    const steps = before + 1;
    const { stepSize, secondScale, keep } = adamFactors(steps, learningRate, optimizer);
    const figures = Float32Array.of(stepSize, secondScale, keep);
    const feeds = {
      ...predictor.feeds(batch, this.#source),
      [GRAPH_NAMES.figures]: { type: 'float32' as const, data: figures, dims: [3] },
    };
    const outputs = await session.run(feeds, {
      [GRAPH_NAMES.parameters]: given(this.#parameters),
      [GRAPH_NAMES.first]: first,
      [GRAPH_NAMES.second]: second,
      [GRAPH_NAMES.features]: await this.#tableOf(batch),
    });
    this.#replaceParameters(outputs.held(GRAPH_NAMES.parametersAfter));
    this.#replaceMoments({
      first: outputs.held(GRAPH_NAMES.firstAfter),
      second: outputs.held(GRAPH_NAMES.secondAfter),
      steps,
    });
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
    return (await this.#opened()).down(given(this.#parameters));
  }

  async optimizer(): Promise<OptimizerSnapshot> {
    const { first, second, steps } = given(this.#moments);
    const transfer = await this.#opened();
    return {
      first: await transfer.down(first),
      second: await transfer.down(second),
      steps,
    };
  }

  async close(): Promise<void> {
    this.#replaceParameters(undefined);
    this.#replaceMoments(undefined);
    await this.#table?.onDevice.close();
    for (const session of this.#sessions.values()) await (await session).close();
    await (await this.#transfer)?.close();
  }

  async #run(name: string, batch: Batch, graph: () => Uint8Array) {
    const session = await this.#session(name, [], graph);
    const feeds: Feeds = this.#setup.predictor.feeds(batch, this.#source);
    return session.run(feeds, {
      [GRAPH_NAMES.parameters]: given(this.#parameters),
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

  /** Tensors must be gone before the sessions that made them. */
  #replaceParameters(next: Held | undefined): void {
    if (this.#parameters !== undefined) release(this.#parameters);
    this.#parameters = next;
  }

  #replaceMoments(next: Moments | undefined): void {
    if (this.#moments !== undefined) {
      release(this.#moments.first);
      release(this.#moments.second);
    }
    this.#moments = next;
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

function given<Value>(value: Value | undefined): Value {
  invariant(value !== undefined, 'an engine is given parameters and moments before it computes with them');
  return value;
}
