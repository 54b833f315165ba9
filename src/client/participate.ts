import { PluralError } from '../core/errors.ts';
import type { Task } from '../wire/http.ts';
import { GroupMemory } from './group-memory.ts';
import { NewestModel, type OwnScore } from './newest-model.ts';
import { OwnPart } from './own-part.ts';
import type { ParticipantOptions } from './participation.ts';
import { systemSleep } from './retry.ts';

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

/** Bounds of what an aggregator may say about when to ask again. */
const SHORTEST_POLL_MS = 20;
const LONGEST_POLL_MS = 60_000;

/** A group's side of a run: carries out what round/group.ts decides, over the API, and stores each decision first. */
export class Participant {
  readonly #options: ParticipantOptions;
  readonly #memory: GroupMemory;
  readonly #newest: NewestModel;
  readonly #part: OwnPart;
  #shown = '';

  constructor(options: ParticipantOptions) {
    this.#options = options;
    this.#memory = new GroupMemory(options.store);
    this.#newest = new NewestModel(options, this.#memory);
    this.#part = new OwnPart(options, this.#memory, this.#newest);
  }

  /**
   * Takes part in one round: waits to be asked, answers, waits for the model that comes of it. A round that was answered
   * before a restart and is still open is waited for, not skipped. Errors: ROUND_FAILED when the aggregator gives the
   * round up, and those that waiting does not cure.
   */
  async takeRound(): Promise<RoundOutcome> {
    let answered = this.#memory.openRound;
    let task = await this.#look();
    if (answered !== null && (task.phase === 'failed' || this.#memory.headRound >= answered)) {
      // Over while nobody looked: the caller wants to take part in one that is not.
      if (task.phase !== 'failed') this.#conclude(answered);
      answered = null;
    }
    while (!isOver(task)) {
      if (answered !== null && this.#memory.headRound >= answered) return this.#outcome(answered, null);
      if (answered !== null && task.phase === 'failed') throw givenUp(task);
      await this.#part.answer(task);
      answered ??= this.#memory.openRound;
      await this.#pause(task);
      task = await this.#look();
    }
    return this.#end(task, answered);
  }

  /** Takes part in every round until the run is over. */
  async watch(): Promise<RoundOutcome> {
    let task = await this.#look();
    while (!isOver(task)) {
      await this.#part.answer(task);
      await this.#pause(task);
      task = await this.#look();
    }
    return this.#end(task, this.#memory.record.trained?.round ?? null);
  }

  /** Asks for the task, and takes in what it says beside what is asked: the newest model, and how the run stands. */
  async #look(): Promise<Task> {
    const task = await this.#options.api.task();
    this.#show(task);
    await this.#newest.receive(task);
    this.#part.roundIsOver(this.#memory.headRound);
    if (isOver(task)) this.#memory.tell({ type: 'finished' });
    else if (task.phase === 'failed') this.#memory.tell({ type: 'failed', round: task.round });
    return task;
  }

  #show({ phase, round, rounds, asked, failure }: Task): void {
    const shown = JSON.stringify([phase, round, asked, failure]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#options.emit({ type: 'phase', phase, round, rounds, asked, failure });
  }

  #conclude(round: number): void {
    if (round > this.#memory.record.concluded) this.#memory.save({ concluded: round });
  }

  #outcome(round: number | null, ended: RoundOutcome['ended']): RoundOutcome {
    if (round !== null) this.#conclude(round);
    const loss = round === null ? null : this.#memory.lossOf(round);
    const model = this.#memory.record.head?.model ?? null;
    return { round, ended, loss, score: this.#newest.score, model, exported: null };
  }

  async #end({ phase, round }: Task, answered: number | null): Promise<RoundOutcome> {
    const { work, store, emit } = this.#options;
    const ended = phase === 'stopped' ? 'stopped' : 'finished';
    const content = work.exportModel(await this.#newest.parameters());
    const exported = content === null ? null : store.saveExport(content);
    emit({ type: 'ended', phase: ended, round });
    return { ...this.#outcome(answered, ended), exported };
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
