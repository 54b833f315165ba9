import { sha256 } from '../core/digest.ts';
import { type ErrorCode, invariant, type PluralError } from '../core/errors.ts';
import { type GroupEffect, outstandingGroupEffects, type Place } from '../round/group.ts';
import type { Task } from '../wire/http.ts';
import { runDigest } from '../wire/run-definition.ts';
import type { Update } from '../wire/stages.ts';
import { decodeSubmission } from '../wire/submission.ts';
import { isCode, MOVED_ON, UPLOAD_TROUBLE } from './failures.ts';
import type { GroupMemory } from './group-memory.ts';
import type { NewestModel } from './newest-model.ts';
import type { ParticipantOptions } from './participation.ts';
import { RoundPart } from './round-part.ts';
import { upload } from './transfer.ts';

/** A step that is asked for, and refused so often in a row, is not asked for in earnest. */
const MOST_REFUSALS = 5;

/** What a group does when it is asked: works, sends, and takes note of what becomes of it. */
export class OwnPart {
  readonly #options: ParticipantOptions;
  readonly #memory: GroupMemory;
  readonly #newest: NewestModel;
  readonly #part: RoundPart;
  #refusals: { readonly at: string; readonly times: number } = { at: '', times: 0 };

  constructor(options: ParticipantOptions, memory: GroupMemory, newest: NewestModel) {
    this.#options = options;
    this.#memory = memory;
    this.#newest = newest;
    this.#part = new RoundPart(options, memory);
  }

  /** Takes note that a round is over. */
  roundIsOver(round: number): void {
    this.#part.dropUpTo(round);
  }

  /** Does what the group's machine says about a step that this group is asked for. */
  async answer(task: Task): Promise<void> {
    const { round, attempt, step, replied } = task;
    const { satOut } = this.#memory.record;
    if (task.phase !== 'collecting' || !task.asked) return;
    if (satOut?.round === round && satOut.attempt === attempt) return;
    if (replied !== null) return this.#settle({ round, attempt, step }, replied);
    // Between two rounds the model of the one before may still be missing.
    if (task.model.round !== round - 1) return;
    this.#memory.tell({ type: 'asked', round, attempt, step });
    const [effect] = this.#outstanding(task);
    if (effect?.type === 'work') await this.#work(effect);
    const [next] = this.#outstanding(task);
    if (next?.type === 'send') await this.#send(next);
  }

  /** Effects of the step that the task asks for: what an older one left behind is of no use any more. */
  #outstanding({ round, attempt, step }: Task): GroupEffect[] {
    return outstandingGroupEffects(this.#memory.record.machine).filter(
      (effect) => effect.round === round && effect.attempt === attempt && effect.step === step,
    );
  }

  /** The aggregator has something of this group. If it is what was to be sent, it is acknowledged. */
  #settle(place: Place, replied: string): void {
    const { phase, round, attempt, step } = this.#memory.record.machine;
    const here = round === place.round && attempt === place.attempt && step === place.step;
    if (phase !== 'sending' || !here) return;
    const bytes = this.#outbox(place);
    const same = bytes !== null && sha256(bytes) === replied;
    if (same) this.#acknowledged(place, replied);
    else this.#refused(place, 'UPDATE_CHANGED', 'the aggregator has another update of this group');
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
        origin.model === this.#memory.record.head?.model &&
        origin.run === runDigest(this.#options.definition);
      return fits ? bytes : null;
    } catch {
      return null;
    }
  }

  /** Makes the reply to a step; it is in the outbox before the state says so. */
  async #work(place: Place): Promise<void> {
    const { store, emit } = this.#options;
    const { round, attempt, step } = place;
    const model = await this.#newest.parameters();
    const named = this.#memory.record.head?.model;
    invariant(named !== undefined, 'a round is taken part in from a model that was checked');
    let loss: number | null = null;
    const train = async (): Promise<Update> => {
      emit({ type: 'training', round, step });
      const trained = await this.#options.work.update({ round, attempt }, model, this.#newest.scoreToTell);
      loss = trained.loss;
      return trained.update;
    };
    try {
      const bytes = await this.#part.reply(place, named, train);
      store.saveOutbox(bytes);
      const sent = this.#part.sentAs(place, bytes);
      const trained = loss === null ? {} : { trained: { round, loss } };
      this.#memory.tell({ type: 'done', round, attempt, step }, { sent, ...trained });
      if (loss !== null) emit({ type: 'trained', round, step, loss });
    } catch (thrown) {
      if (!isCode(thrown, MOVED_ON)) throw thrown;
      // The group goes on in the next opening of a round.
      if (thrown.code === 'ROUND_REFUSED') this.#memory.save({ satOut: { round, attempt } });
      emit({ type: 'refused', round, step, code: thrown.code, message: thrown.message });
    }
  }

  /** Sends the outbox. */
  async #send(place: Place): Promise<void> {
    const { round, step } = place;
    const bytes = this.#outbox(place);
    // The same step gives the same bytes: what is lost is made again.
    if (bytes === null) {
      const { machine } = this.#memory.record;
      return this.#memory.save({ machine: { ...machine, phase: 'working' } });
    }
    const { api, retry, emit } = this.#options;
    const onProgress = (doneBytes: number, allBytes: number) =>
      emit({ type: 'transfer', direction: 'up', doneBytes, allBytes });
    try {
      const digest = await upload({ api, retry, onProgress }, bytes);
      await api.submit({ round, step }, digest);
      this.#acknowledged(place, digest);
    } catch (thrown) {
      if (!isCode(thrown, [...MOVED_ON, ...UPLOAD_TROUBLE])) throw thrown;
      this.#countRefusal(place, thrown);
      this.#refused(place, thrown.code, thrown.message);
    }
  }

  /** Throws the refusal that is one too many. */
  #countRefusal({ round, attempt, step }: Place, error: PluralError): void {
    const at = `${round}/${attempt}/${step}`;
    this.#refusals = { at, times: this.#refusals.at === at ? this.#refusals.times + 1 : 1 };
    if (this.#refusals.times >= MOST_REFUSALS) throw error;
  }

  #acknowledged({ round, attempt, step }: Place, digest: string): void {
    this.#memory.tell({ type: 'acknowledged', round, attempt, step });
    this.#options.emit({ type: 'sent', round, step, digest });
  }

  #refused({ round, attempt, step }: Place, code: ErrorCode, message: string): void {
    // Bytes that got lost over there are sent again; an update that was not taken has no loss to speak of.
    if (!UPLOAD_TROUBLE.includes(code)) {
      this.#memory.tell({ type: 'refused', round, attempt, step, reason: code }, { trained: null });
    }
    this.#options.emit({ type: 'refused', round, step, code, message });
  }
}
