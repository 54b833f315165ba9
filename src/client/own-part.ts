import { sha256 } from '../core/digest.ts';
import type { ErrorCode, PluralError } from '../core/errors.ts';
import { type GroupEffect, outstandingGroupEffects } from '../round/group.ts';
import type { Task } from '../wire/http.ts';
import { runDigest } from '../wire/run-definition.ts';
import { decodeSubmission } from '../wire/submission.ts';
import { isCode, MOVED_ON, UPLOAD_TROUBLE } from './failures.ts';
import type { GroupMemory } from './group-memory.ts';
import type { NewestModel } from './newest-model.ts';
import type { ParticipantOptions, Place } from './participation.ts';
import { upload } from './transfer.ts';

/** A step that is asked for, and refused so often in a row, is not asked for in earnest. */
const MOST_REFUSALS = 5;

/** What a group does when it is asked: works, sends, and takes note of what becomes of it. */
export class OwnPart {
  readonly #options: ParticipantOptions;
  readonly #memory: GroupMemory;
  readonly #newest: NewestModel;
  #refusals: { readonly at: Place; readonly times: number } = { at: { round: 0, step: 0 }, times: 0 };

  constructor(options: ParticipantOptions, memory: GroupMemory, newest: NewestModel) {
    this.#options = options;
    this.#memory = memory;
    this.#newest = newest;
  }

  /** Does what the group's machine says about a step that this group is asked for. */
  async answer(task: Task): Promise<void> {
    const { round, step, replied } = task;
    if (task.phase !== 'collecting' || !task.asked) return;
    if (replied !== null) return this.#settle({ round, step }, replied);
    // Between two rounds the model of the one before may still be missing.
    if (task.model.round !== round - 1) return;
    this.#memory.tell({ type: 'asked', round, step });
    const [effect] = this.#outstanding(task);
    if (effect?.type === 'work') await this.#work(effect);
    const [next] = this.#outstanding(task);
    if (next?.type === 'send') await this.#send(next);
  }

  /** Effects of the step that the task asks for: what an older one left behind is of no use any more. */
  #outstanding({ round, step }: Task): GroupEffect[] {
    return outstandingGroupEffects(this.#memory.record.machine).filter(
      (effect) => effect.round === round && effect.step === step,
    );
  }

  /** The aggregator has something of this group. If it is what was to be sent, it is acknowledged. */
  #settle({ round, step }: Place, replied: string): void {
    const { machine } = this.#memory.record;
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
        origin.model === this.#memory.record.head?.model &&
        origin.run === runDigest(this.#options.definition);
      return fits ? bytes : null;
    } catch {
      return null;
    }
  }

  /** Trains; the result is in the outbox before the state says so. */
  async #work({ round, step }: Place): Promise<void> {
    const { work, store, emit } = this.#options;
    const model = await this.#newest.parameters();
    emit({ type: 'training', round, step });
    const { bytes, loss } = await work.submission({ round, step }, model);
    store.saveOutbox(bytes);
    this.#memory.tell({ type: 'done', round, step }, { trained: { round, loss } });
    emit({ type: 'trained', round, step, loss });
  }

  /** Sends the outbox. */
  async #send({ round, step }: Place): Promise<void> {
    const bytes = this.#outbox({ round, step });
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
      this.#acknowledged({ round, step }, digest);
    } catch (thrown) {
      if (!isCode(thrown, [...MOVED_ON, ...UPLOAD_TROUBLE])) throw thrown;
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
    this.#memory.tell({ type: 'acknowledged', round, step });
    this.#options.emit({ type: 'sent', round, step, digest });
  }

  #refused({ round, step }: Place, code: ErrorCode, message: string): void {
    // Bytes that got lost over there are sent again; an update that was not taken has no loss to speak of.
    if (!UPLOAD_TROUBLE.includes(code)) {
      this.#memory.tell({ type: 'refused', round, step, reason: code }, { trained: null });
    }
    this.#options.emit({ type: 'refused', round, step, code, message });
  }
}
