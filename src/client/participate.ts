import { bytesOf, float32From } from '../core/bytes.ts';
import { canonicalJson, sha256 } from '../core/digest.ts';
import { type ErrorCode, invariant, PluralError } from '../core/errors.ts';
import { type GroupMessage, outstandingGroupEffects, stepGroup } from '../round/group.ts';
import type { Task } from '../wire/http.ts';
import { makeModel } from '../wire/model.ts';
import { type RunDefinition, runDigest } from '../wire/run-definition.ts';
import type { Model } from '../wire/stages.ts';
import { decodeSubmission } from '../wire/submission.ts';
import type { AggregatorApi } from './api.ts';
import { followChain, type Trust } from './follow.ts';
import type { EmitGroupEvent } from './group-events.ts';
import type { GroupRecord, GroupStore } from './group-record.ts';
import type { LocalWork } from './local-training.ts';
import { type Retry, type Sleep, systemSleep } from './retry.ts';
import { downloadModel, upload } from './transfer.ts';

/** What a group takes part with. */
export interface ParticipantOptions {
  readonly api: AggregatorApi;
  /** For single transfers of a chunk; the same as the API's. */
  readonly retry: Retry;
  readonly store: GroupStore;
  readonly work: LocalWork;
  readonly definition: RunDefinition;
  readonly aggregatorKey: string;
  /** Whether the aggregator is told how well each model predicts this group. */
  readonly tellScores: boolean;
  readonly emit: EmitGroupEvent;
  readonly sleep?: Sleep;
  readonly signal?: AbortSignal;
}

/** How a model predicts this group. */
export interface OwnScore {
  readonly round: number;
  readonly alignment: number;
  readonly questions: number;
}

/** What came of waiting for a round. */
export interface RoundOutcome {
  /** The round that this group took part in; null where the run was over before it was asked. */
  readonly round: number | null;
  /** How the run ended; null where it goes on. */
  readonly ended: 'finished' | 'stopped' | null;
  /** Training loss of the round; null where it did not train. */
  readonly loss: number | null;
  /** Of the newest model. */
  readonly score: OwnScore | null;
  /** Digest of the newest model. */
  readonly model: string | null;
  /** The model as an ONNX file, where the run is over. */
  readonly exported: string | null;
}

interface Place {
  readonly round: number;
  readonly step: number;
}

/** Answers to a submission that mean: things have moved on, look at the task again. */
const MOVED_ON: readonly ErrorCode[] = [
  'UPDATE_OF_ANOTHER_ROUND',
  'UPDATE_OF_ANOTHER_MODEL',
  'UPDATE_CHANGED',
  'GROUP_NOT_ASKED',
  'ROUND_REFUSED',
  'UPLOAD_INCOMPLETE',
];
/** A step that is asked for, and refused so often in a row, is not asked for in earnest. */
const MOST_REFUSALS = 5;
/** Bounds of what an aggregator may say about when to ask again. */
const SHORTEST_POLL_MS = 20;
const LONGEST_POLL_MS = 60_000;

function isCode(thrown: unknown, codes: readonly ErrorCode[]): thrown is PluralError {
  return thrown instanceof PluralError && codes.includes(thrown.code);
}

/** A group's side of a run: carries out what round/group.ts decides, over the API, and stores each decision first. */
export class Participant {
  readonly #options: ParticipantOptions;
  readonly #trust: Trust;
  #record: GroupRecord;
  #model: Model | undefined;
  #score: OwnScore | undefined;
  #refusals: { readonly at: Place; readonly times: number } = { at: { round: 0, step: 0 }, times: 0 };
  #shown = '';

  constructor(options: ParticipantOptions) {
    this.#options = options;
    this.#trust = { run: runDigest(options.definition), aggregatorKey: options.aggregatorKey };
    this.#record = options.store.loadRecord();
  }

  /**
   * Takes part in one round: waits to be asked, answers, waits for the model that comes of it. A round that was answered
   * before a restart and is still open is waited for, not skipped. Errors: ROUND_FAILED when the aggregator gives the
   * round up, and those that waiting does not cure.
   */
  async takeRound(): Promise<RoundOutcome> {
    let answered = this.#openRound();
    let task = await this.#look();
    if (answered !== null && (task.phase === 'failed' || this.#headRound() >= answered)) {
      // Over while nobody looked: the caller wants to take part in one that is not.
      if (task.phase !== 'failed') this.#conclude(answered);
      answered = null;
    }
    while (!isOver(task)) {
      if (answered !== null && this.#headRound() >= answered) return this.#outcome(answered, null);
      if (answered !== null && task.phase === 'failed') throw givenUp(task);
      await this.#answer(task);
      answered ??= this.#openRound();
      await this.#pause(task);
      task = await this.#look();
    }
    return this.#end(task, answered);
  }

  /** Takes part in every round until the run is over. */
  async watch(): Promise<RoundOutcome> {
    let task = await this.#look();
    while (!isOver(task)) {
      await this.#answer(task);
      await this.#pause(task);
      task = await this.#look();
    }
    return this.#end(task, this.#record.trained?.round ?? null);
  }

  /** Asks for the task, and takes in what it says beside what is asked: the newest model, and how the run stands. */
  async #look(): Promise<Task> {
    const task = await this.#options.api.task();
    this.#show(task);
    await this.#receive(task);
    if (isOver(task)) this.#tell({ type: 'finished' });
    else if (task.phase === 'failed') this.#tell({ type: 'failed', round: task.round });
    return task;
  }

  #show({ phase, round, rounds, asked, failure }: Task): void {
    const shown = JSON.stringify([phase, round, asked, failure]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#options.emit({ type: 'phase', phase, round, rounds, asked, failure });
  }

  #headRound(): number {
    return this.#record.head?.round ?? -1;
  }

  /** Checks and fetches a model that is newer than the last, and scores it. */
  async #receive(task: Task): Promise<void> {
    const { api, emit } = this.#options;
    const { head } = this.#record;
    const next = await followChain(api, this.#trust, head, task.model);
    if (next.round !== head?.round) {
      this.#save({ head: next });
      emit({ type: 'model', round: next.round, model: next.model, updates: next.updates });
    }
    if (this.#score?.round !== next.round) await this.#scoreModel();
  }

  /** The newest model: in memory, in the store, or fetched. */
  async #newest(): Promise<Model> {
    const { head } = this.#record;
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
    return downloadModel({ api, retry, onProgress }, this.#record.head!, definition.plan.parameters);
  }

  /** Scores are a courtesy: what the aggregator thinks of one does not end the run. */
  async #scoreModel(): Promise<void> {
    const { work, emit, tellScores } = this.#options;
    const model = await this.#newest();
    const { round } = model;
    const { alignment, questions } = await work.score(model);
    this.#score = { round, alignment, questions };
    const told = tellScores && this.#record.scored < round && (await this.#tellScore(model, this.#score));
    this.#save({ scored: round });
    emit({ type: 'score', round, alignment, questions, told });
  }

  async #tellScore({ round, digest }: Model, { alignment, questions }: OwnScore): Promise<boolean> {
    const { api, emit } = this.#options;
    const loss = this.#lossOf(round);
    try {
      await api.score({ round, model: digest, alignment, questions, loss });
      return true;
    } catch (thrown) {
      if (!isCode(thrown, [...MOVED_ON, 'REQUEST_MALFORMED', 'RATE_LIMITED'])) throw thrown;
      emit({ type: 'warning', message: `the score of round ${round} was not taken: ${thrown.message}` });
      return false;
    }
  }

  /** Loss of the round that this group took part in; null where it did not. */
  #lossOf(round: number): number | null {
    const { trained } = this.#record;
    return trained?.round === round ? trained.loss : null;
  }

  /** Does what the group's machine says about a step that this group is asked for. */
  async #answer(task: Task): Promise<void> {
    const { round, step, replied } = task;
    if (task.phase !== 'collecting' || !task.asked) return;
    if (replied !== null) return this.#settle({ round, step }, replied);
    // Between two rounds the model of the one before may still be missing.
    if (task.model.round !== round - 1) return;
    this.#tell({ type: 'asked', round, step });
    const [effect] = this.#outstanding(task);
    if (effect?.type === 'work') await this.#work(effect);
    const [next] = this.#outstanding(task);
    if (next?.type === 'send') await this.#send(next);
  }

  /** Effects of the step that the task asks for: what an older one left behind is of no use any more. */
  #outstanding({ round, step }: Task) {
    return outstandingGroupEffects(this.#record.machine).filter(
      (effect) => effect.round === round && effect.step === step,
    );
  }

  /** The aggregator has something of this group. If it is what was to be sent, it is acknowledged. */
  #settle({ round, step }: Place, replied: string): void {
    const { machine } = this.#record;
    if (machine.phase !== 'sending' || machine.round !== round || machine.step !== step) return;
    const bytes = this.#outbox({ round, step });
    const same = bytes !== null && sha256(bytes) === replied;
    if (same) this.#acknowledged({ round, step }, replied);
    else this.#refused({ round, step }, 'UPDATE_CHANGED', 'the aggregator has another update of this group');
  }

  /** The bytes that are being sent in a step; null where they are lost, or of another one. */
  #outbox({ round, step }: Place): Uint8Array | null {
    const bytes = this.#options.store.loadOutbox();
    if (bytes === null) return null;
    try {
      const { update, origin } = decodeSubmission(bytes);
      const fits =
        update.round === round &&
        origin.step === step &&
        origin.model === this.#record.head?.model &&
        origin.run === this.#trust.run;
      return fits ? bytes : null;
    } catch {
      return null;
    }
  }

  /** Trains; the result is in the outbox before the state says so. */
  async #work({ round, step }: Place): Promise<void> {
    const { work, store, emit } = this.#options;
    const model = await this.#newest();
    emit({ type: 'training', round, step });
    const { bytes, loss } = await work.submission({ round, step }, model);
    store.saveOutbox(bytes);
    this.#tell({ type: 'done', round, step }, { trained: { round, loss } });
    emit({ type: 'trained', round, step, loss });
  }

  /** Sends the outbox. */
  async #send({ round, step }: Place): Promise<void> {
    const bytes = this.#outbox({ round, step });
    // The same step gives the same bytes: what is lost is made again.
    if (bytes === null) return this.#save({ machine: { ...this.#record.machine, phase: 'working' } });
    const { api, retry, emit } = this.#options;
    const onProgress = (doneBytes: number, allBytes: number) =>
      emit({ type: 'transfer', direction: 'up', doneBytes, allBytes });
    try {
      const digest = await upload({ api, retry, onProgress }, bytes);
      await api.submit({ round, step }, digest);
      this.#acknowledged({ round, step }, digest);
    } catch (thrown) {
      if (!isCode(thrown, MOVED_ON)) throw thrown;
      this.#countRefusal({ round, step }, thrown);
      this.#refused({ round, step }, thrown.code, thrown.message);
    }
  }

  /** Throws the refusal that is one too many. */
  #countRefusal({ round, step }: Place, error: PluralError): void {
    const { at, times } = this.#refusals;
    const again = at.round === round && at.step === step;
    this.#refusals = { at: { round, step }, times: again ? times + 1 : 1 };
    if (this.#refusals.times >= MOST_REFUSALS) throw error;
  }

  #acknowledged({ round, step }: Place, digest: string): void {
    this.#tell({ type: 'acknowledged', round, step });
    this.#options.emit({ type: 'sent', round, step, digest });
  }

  #refused({ round, step }: Place, code: ErrorCode, message: string): void {
    // Bytes that got lost over there are sent again; an update that was not taken is not one to speak of.
    if (code !== 'UPLOAD_INCOMPLETE')
      this.#tell({ type: 'refused', round, step, reason: code }, { trained: null });
    this.#options.emit({ type: 'refused', round, step, code, message });
  }

  /** The round that this group has answered and not yet seen the end of; null where there is none. */
  #openRound(): number | null {
    const { machine, concluded } = this.#record;
    return machine.phase === 'sent' && machine.round > concluded ? machine.round : null;
  }

  #conclude(round: number): void {
    if (round > this.#record.concluded) this.#save({ concluded: round });
  }

  #outcome(round: number | null, ended: RoundOutcome['ended']): RoundOutcome {
    if (round !== null) this.#conclude(round);
    const loss = round === null ? null : this.#lossOf(round);
    const model = this.#record.head?.model ?? null;
    return { round, ended, loss, score: this.#score ?? null, model, exported: null };
  }

  async #end({ phase, round }: Task, answered: number | null): Promise<RoundOutcome> {
    const { work, store, emit } = this.#options;
    const ended = phase === 'stopped' ? 'stopped' : 'finished';
    const exported = store.saveExport(work.exportModel(await this.#newest()));
    emit({ type: 'ended', phase: ended, round });
    return { ...this.#outcome(answered, ended), exported };
  }

  /** One step of the machine, stored before anything is done about it. */
  #tell(message: GroupMessage, also: Partial<GroupRecord> = {}): void {
    this.#save({ ...also, machine: stepGroup(this.#record.machine, message).state });
  }

  /** What is as it was is not written again: a group that polls does not wear the disk. */
  #save(change: Partial<GroupRecord>): void {
    const next = { ...this.#record, ...change };
    if (canonicalJson(next) === canonicalJson(this.#record)) return;
    this.#options.store.saveRecord(next);
    this.#record = next;
  }

  #pause({ pollAfterMs }: Task): Promise<void> {
    const { sleep = systemSleep, signal } = this.#options;
    return sleep(Math.min(LONGEST_POLL_MS, Math.max(SHORTEST_POLL_MS, pollAfterMs)), signal);
  }
}

function isOver({ phase }: Task): boolean {
  return phase === 'finished' || phase === 'stopped';
}

function givenUp({ round, failure }: Task): PluralError {
  return new PluralError('ROUND_FAILED', failure ?? `round ${round} was given up`, {
    hint: 'Those who run the aggregator can start it again; run the same command then.',
  });
}
