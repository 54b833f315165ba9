import { z } from 'zod';
import { bytesOf, float32From } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { invariant } from '../core/errors.ts';
import type { ReadSum, SealedSums } from '../privacy/protection.ts';
import { type StrategyState, strategyStateSchema } from '../strategy/strategy.ts';
import { encodeCbor, readCbor } from '../wire/cbor.ts';
import { makeModel } from '../wire/model.ts';
import { type ModelRecord, modelRecordSchema } from '../wire/model-record.ts';
import { digestSchema } from '../wire/run-definition.ts';
import type { Aggregate, Model } from '../wire/stages.ts';
import { downloadsOf } from './downloads.ts';
import { isCode } from './failures.ts';
import { checkEnd, recordsUpTo, type Trust } from './follow.ts';
import type { ParticipantOptions } from './participation.ts';
import { downloadModel, downloadSealedSum } from './transfer.ts';

const keptSchema = z.strictObject({
  format: z.literal(1),
  record: modelRecordSchema,
  strategy: strategyStateSchema,
  /** SHA-256 of the parameters. */
  digest: digestSchema,
  parameters: z.instanceof(Uint8Array),
});

/** CBOR items of what is kept: those of a record, and a strategy's state. */
const MOST_ITEMS = 100_000;

/** The model in clear after a round, with all that the next one follows from but the next sealed sum. */
interface Kept {
  readonly record: ModelRecord;
  readonly strategy: StrategyState;
  readonly parameters: Float32Array;
}

function bytesOfKept({ record, strategy, parameters }: Kept): Uint8Array {
  const bytes = bytesOf(parameters);
  return encodeCbor({ format: 1, record, strategy, digest: sha256(bytes), parameters: bytes });
}

/** Null for what is not whole. */
function keptFrom(bytes: Uint8Array): Kept | null {
  const kept = readCbor(bytes, keptSchema, MOST_ITEMS);
  if (kept === null || sha256(kept.parameters) !== kept.digest) return null;
  const { record, strategy, parameters } = kept;
  return { record, strategy, parameters: float32From(parameters) };
}

/** Who can be meant by the names at answers that do not fit: boxes are not signed. */
function blamed(accused: readonly string[]): string {
  return `the answers of ${accused.join(', ')} do not fit: that can be their doing, that of groups that dealt them shares, or of the aggregator, which passed the answers on`;
}

/** What there is to say of a sum that was read; null where all of it is as it should be. */
function warningAbout(round: number, { aggregate, impossible, accused }: ReadSum): string | null {
  const sum = `the sum of round ${round}`;
  const named = accused.length === 0 ? '' : `; ${blamed(accused)}`;
  if (impossible) {
    return `${sum} says what no groups can have sent, the model stays: the aggregator or a group changed it${named}`;
  }
  if (aggregate === null) return `${sum} cannot be opened, the model stays${named}`;
  return named === '' ? null : `${sum} was opened all the same${named}`;
}

/**
 * The model of a run whose aggregator holds ciphertext: a function of the model of round 0, which everybody knows, and of the sealed sums since,
 * in order. Each is fetched, opened and added by itself and what came of it is stored whole, so that a group goes on from wherever it was,
 * also after rounds without it. All groups with the readers' key come to the same bytes.
 */
export class ClearModel {
  readonly #options: ParticipantOptions;
  readonly #trust: Trust;
  readonly #sealedSums: SealedSums;

  constructor(options: ParticipantOptions, trust: Trust, sealedSums: SealedSums) {
    this.#options = options;
    this.#trust = trust;
    this.#sealedSums = sealedSums;
  }

  /** The model of a record that was checked. Errors: AGGREGATOR_UNTRUSTED. */
  async at(head: ModelRecord): Promise<Model> {
    await this.#options.work.protection.prepare();
    let kept = this.#stored(head) ?? (await this.#first(head));
    for await (const records of recordsUpTo(this.#options.api, this.#trust, kept.record, head)) {
      for (const record of records) {
        const skipped = record.model === kept.record.model;
        kept = await this.#next(kept, record);
        // After a restart the records of skipped rounds are read again, and nothing else.
        if (!skipped) this.#options.store.saveClearModel(bytesOfKept(kept));
      }
    }
    checkEnd(kept.record, head);
    return makeModel(head.round, kept.parameters);
  }

  /** What is stored, where it is of a round up to this one. */
  #stored(head: ModelRecord): Kept | null {
    const bytes = this.#options.store.loadClearModel();
    const kept = bytes === null ? null : keptFrom(bytes);
    return kept !== null && kept.record.round <= head.round ? kept : null;
  }

  /** The model of round 0, which is published in clear. */
  async #first(head: ModelRecord): Promise<Kept> {
    const { definition, work, store } = this.#options;
    const [record] = head.round === 0 ? [head] : await this.#beginning(head);
    invariant(record !== undefined, 'a chain of records begins with round 0');
    const { parameters: length } = definition.plan;
    const parameters = await downloadModel(downloadsOf(this.#options), record, length);
    const kept = { record, strategy: work.strategy.initialState(), parameters };
    store.saveClearModel(bytesOfKept(kept));
    return kept;
  }

  /** The first records of the chain. */
  async #beginning(head: ModelRecord): Promise<readonly ModelRecord[]> {
    for await (const records of recordsUpTo(this.#options.api, this.#trust, null, head)) return records;
    return [];
  }

  /** The model after one more round. A record that names what the one before it names is of a round without updates. */
  async #next(kept: Kept, record: ModelRecord): Promise<Kept> {
    const aggregate = record.model === kept.record.model ? null : await this.#read(kept, record);
    return { ...(aggregate === null ? kept : this.#add(kept, aggregate)), record };
  }

  /** The sum of a round; null where nothing opens it, or where it is none of groups that do as they should. */
  async #read({ record: before }: Kept, record: ModelRecord): Promise<Aggregate | null> {
    const { definition, readersKey = null } = this.#options;
    invariant(readersKey !== null, "a group that joined with the readers' key");
    const { round, run } = record;
    const sealed = await downloadSealedSum(downloadsOf(this.#options), record, this.#sealedSums.mostBytes);
    const { parameters } = definition.plan;
    const context = { run, round, model: before.model, parameters };
    const read = this.#sealedSums.read(sealed, context, readersKey);
    const warning = warningAbout(round, read);
    if (warning !== null) this.#warn(warning);
    return read.aggregate;
  }

  /** What makes no model leaves it as it was, for everybody: nobody opens the round again. */
  #add(kept: Kept, aggregate: Aggregate): Kept {
    const { strategy } = this.#options.work;
    const { round } = aggregate;
    try {
      const model = makeModel(kept.record.round, kept.parameters);
      const next = strategy.next(model, aggregate, kept.strategy);
      return { ...kept, parameters: next.model.parameters, strategy: next.state };
    } catch (thrown) {
      if (!isCode(thrown, ['NOT_FINITE'])) throw thrown;
      this.#warn(`round ${round} makes no model, the model stays: ${thrown.message}`);
      return kept;
    }
  }

  #warn(message: string): void {
    this.#options.emit({ type: 'warning', message });
  }
}
