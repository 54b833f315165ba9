import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.ts';
import { runExperiment } from '../src/simulate/run.ts';

/** Settings under trial: overrides of a configuration, separated by spaces that stand outside brackets. */
export interface Trial {
  readonly label: string;
  readonly overrides: readonly string[];
}

/** Mean alignment of the groups that judge: of the federated predictor, and of the mean of those that train. */
export interface Judged {
  readonly federated: number;
  readonly groupMean: number;
}

/** Tries settings where some groups train and others judge, in a folder of its own that is gone afterwards. */
export class Judge {
  readonly #config: string;
  readonly #training: readonly string[];
  readonly #judges: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'pluralllm-judge-'));

  constructor(config: string, training: readonly string[], judges: readonly string[]) {
    this.#config = config;
    this.#training = training;
    this.#judges = judges;
  }

  async judge({ overrides }: Trial, seed: number): Promise<Judged> {
    const split = `data.groups=${JSON.stringify({ training: this.#training, unseen: this.#judges })}`;
    const fixed = ['compare=[group-mean]', 'evaluation.every=1000', `seed=${seed}`, split];
    const config = loadConfig(this.#config, [...overrides, ...fixed]);
    const place = join(this.#folder, String(performance.now()));
    const { record } = await runExperiment(config, { folder: place, resume: false, emit: () => {} });
    const meanOf = (id: string) => record.methods.find((method) => method.id === id)!.summaries.unseen!.mean;
    return { federated: meanOf('federated'), groupMean: meanOf('group-mean') };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
