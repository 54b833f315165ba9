import { canonicalJson } from '../core/digest.ts';
import { type GroupMessage, stepGroup } from '../round/group.ts';
import type { GroupRecord, GroupStore } from './group-record.ts';

/** What a group remembers, in memory and in its store: each change is stored before anything is done about it. */
export class GroupMemory {
  readonly #store: GroupStore;
  #record: GroupRecord;

  constructor(store: GroupStore) {
    this.#store = store;
    this.#record = store.loadRecord();
  }

  get record(): GroupRecord {
    return this.#record;
  }

  /** Round of the newest model that was checked; -1 before the first. */
  get headRound(): number {
    return this.#record.head?.round ?? -1;
  }

  /** The round that this group has answered and not yet seen the end of; null where there is none. */
  get openRound(): number | null {
    const { machine, concluded } = this.#record;
    return machine.phase === 'sent' && machine.round > concluded ? machine.round : null;
  }

  /** Training loss of a round that this group took part in; null where it did not. */
  lossOf(round: number): number | null {
    const { trained } = this.#record;
    return trained?.round === round ? trained.loss : null;
  }

  /** One step of the group's machine, with what else changes by it. */
  tell(message: GroupMessage, also: Partial<GroupRecord> = {}): void {
    this.save({ ...also, machine: stepGroup(this.#record.machine, message).state });
  }

  /** What is as it was is not written again: a group that polls does not wear the disk. */
  save(change: Partial<GroupRecord>): void {
    const next = { ...this.#record, ...change };
    if (canonicalJson(next) === canonicalJson(this.#record)) return;
    this.#store.saveRecord(next);
    this.#record = next;
  }
}
