import { bytesOf, float32From } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { invariant } from '../core/errors.ts';
import type { Task } from '../wire/http.ts';
import { makeModel } from '../wire/model.ts';
import type { ModelRecord } from '../wire/model-record.ts';
import type { Model } from '../wire/stages.ts';
import { ClearModel } from './clear-model.ts';
import { downloadsOf } from './downloads.ts';
import { isCode, MOVED_ON } from './failures.ts';
import { followChain, type Trust, trustIn } from './follow.ts';
import type { GroupMemory } from './group-memory.ts';
import type { ParticipantOptions } from './participation.ts';
import { downloadModel } from './transfer.ts';

/** How a model predicts this group. */
export interface OwnScore {
  readonly round: number;
  readonly alignment: number;
  readonly questions: number;
}

/** The newest model as this group sees it: its record checked, its parameters fetched, its score taken. */
export class NewestModel {
  readonly #options: ParticipantOptions;
  readonly #memory: GroupMemory;
  readonly #trust: Trust;
  /** Null where the aggregator has the models. */
  readonly #clear: ClearModel | null;
  #made: { readonly head: ModelRecord; readonly model: Model } | undefined;
  #score: OwnScore | undefined;
  /** Round of the model that was scored last, or could not be. */
  #scored: number | undefined;

  constructor(options: ParticipantOptions, memory: GroupMemory) {
    this.#options = options;
    this.#memory = memory;
    this.#trust = trustIn(options.definition, options.aggregatorKey);
    const { sealedSums } = options.work.protection;
    this.#clear = sealedSums === null ? null : new ClearModel(options, this.#trust, sealedSums);
  }

  /** Of the newest model; null before one was scored. */
  get score(): OwnScore | null {
    return this.#score ?? null;
  }

  /** What the group tells of the newest model inside its next update; null where it tells nothing, or tells it by itself. */
  get scoreToTell(): number | null {
    const { tellScores, work } = this.#options;
    return tellScores && work.protection.reveals === 'sum' ? (this.#score?.alignment ?? null) : null;
  }

  /** Checks and fetches a model that is newer than the last, and scores it. */
  async receive(task: Task): Promise<void> {
    const { api, emit } = this.#options;
    const { head } = this.#memory.record;
    const next = await followChain(api, this.#trust, head, task.model);
    if (next.round !== head?.round) {
      this.#memory.save({ head: next });
      emit({ type: 'model', round: next.round, model: next.model, updates: next.updates });
    }
    if (this.#scored !== next.round) await this.#scoreModel();
  }

  /** The model itself: from memory, from the store, fetched, or read from sealed sums. Errors: AGGREGATOR_UNTRUSTED. */
  async parameters(): Promise<Model> {
    const { head } = this.#memory.record;
    invariant(head !== null, 'a model is fetched after its record was checked');
    const made = this.#made;
    if (made?.head.model === head.model && made.head.round === head.round) return made.model;
    const model = this.#clear === null ? await this.#published(head) : await this.#clear.at(head);
    this.#made = { head, model };
    return model;
  }

  async #published(head: ModelRecord): Promise<Model> {
    const stored = this.#options.store.loadModel();
    const known = stored !== null && sha256(stored) === head.model;
    const { plan } = this.#options.definition;
    const parameters = known
      ? float32From(stored)
      : await downloadModel(downloadsOf(this.#options), head, plan.parameters);
    if (!known) this.#options.store.saveModel(bytesOf(parameters));
    return makeModel(head.round, parameters);
  }

  /** Scores are a courtesy: what the aggregator thinks of one does not end the run. */
  async #scoreModel(): Promise<void> {
    const { work, emit, tellScores } = this.#options;
    const model = await this.parameters();
    const { round } = model;
    const scored = await this.#scoreOf(model);
    this.#scored = round;
    this.#score = undefined;
    if (scored === null) return;
    const { alignment, questions } = scored;
    this.#score = { round, alignment, questions };
    const told =
      tellScores &&
      work.protection.reveals === 'rows' &&
      this.#memory.record.scored < round &&
      (await this.#tellScore(model, this.#score));
    this.#memory.save({ scored: round });
    emit({ type: 'score', round, alignment, questions, told });
  }

  /** Null also for a model whose predictions are not finite: whoever made it should not end the processes of all groups. */
  async #scoreOf(model: Model): ReturnType<ParticipantOptions['work']['score']> {
    try {
      return await this.#options.work.score(model);
    } catch (thrown) {
      if (!isCode(thrown, ['NOT_FINITE'])) throw thrown;
      const message = `the model of round ${model.round} cannot be scored: ${thrown.message}`;
      this.#options.emit({ type: 'warning', message });
      return null;
    }
  }

  async #tellScore({ round, digest }: Model, { alignment, questions }: OwnScore): Promise<boolean> {
    const { api, emit } = this.#options;
    const loss = this.#memory.lossOf(round);
    try {
      await api.score({ round, model: digest, alignment, questions, loss });
      return true;
    } catch (thrown) {
      if (!isCode(thrown, [...MOVED_ON, 'REQUEST_MALFORMED', 'RATE_LIMITED'])) throw thrown;
      emit({ type: 'warning', message: `the score of round ${round} was not taken: ${thrown.message}` });
      return false;
    }
  }
}
