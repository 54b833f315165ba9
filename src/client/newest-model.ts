import { bytesOf, float32From } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { invariant } from '../core/errors.ts';
import type { Task } from '../wire/http.ts';
import { makeModel } from '../wire/model.ts';
import { runDigest } from '../wire/run-definition.ts';
import type { Model } from '../wire/stages.ts';
import { isCode, MOVED_ON } from './failures.ts';
import { followChain, type Trust } from './follow.ts';
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
  #model: Model | undefined;
  #score: OwnScore | undefined;

  constructor(options: ParticipantOptions, memory: GroupMemory) {
    this.#options = options;
    this.#memory = memory;
    this.#trust = { run: runDigest(options.definition), aggregatorKey: options.aggregatorKey };
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
    if (this.#score?.round !== next.round) await this.#scoreModel();
  }

  /** The model itself: from memory, from the store, or fetched. Errors: AGGREGATOR_UNTRUSTED. */
  async parameters(): Promise<Model> {
    const { head } = this.#memory.record;
    invariant(head !== null, 'a model is fetched after its record was checked');
    if (this.#model?.digest === head.model && this.#model.round === head.round) return this.#model;
    const stored = this.#options.store.loadModel();
    const known = stored !== null && sha256(stored) === head.model;
    const parameters = known ? float32From(stored) : await this.#fetch();
    if (!known) this.#options.store.saveModel(bytesOf(parameters));
    this.#model = makeModel(head.round, parameters);
    return this.#model;
  }

  #fetch(): Promise<Float32Array> {
    const { api, retry, definition, emit } = this.#options;
    const onProgress = (doneBytes: number, allBytes: number) =>
      emit({ type: 'transfer', direction: 'down', doneBytes, allBytes });
    return downloadModel({ api, retry, onProgress }, this.#memory.record.head!, definition.plan.parameters);
  }

  /** Scores are a courtesy: what the aggregator thinks of one does not end the run. */
  async #scoreModel(): Promise<void> {
    const { work, emit, tellScores } = this.#options;
    const model = await this.parameters();
    const { round } = model;
    const scored = await work.score(model);
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
