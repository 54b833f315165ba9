import { hexOf } from '../../core/bytes.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import { isSignedBy } from '../../wire/identity.ts';
import type { Aggregate, ProtectedUpdate } from '../../wire/stages.ts';
import type { Collection, RoundContext } from '../protection.ts';
import { consistencyMessage, type Keys, type SumProtocol, survivorsMessage } from './protocol.ts';
import { areSigned, givesSecrets, type Roster } from './roster.ts';
import type { SumSettings } from './settings.ts';

type Refusal = 'ROUND_REFUSED' | 'UPDATE_MALFORMED' | 'UPDATE_LENGTH' | 'SIGNATURE_INVALID';

/** The error of a reply that does not count. */
export function refused(code: Refusal, { group, round }: ProtectedUpdate, reason: string): PluralError {
  return new PluralError(code, `message of group "${group}" in round ${round}: ${reason}`, {
    hint: 'The group should look up what is asked of it now.',
  });
}

/** The steps that all these protocols have, by their index; the last one is each protocol's own. */
export interface SumSteps {
  readonly keys: number;
  readonly shares: number;
  readonly upload: number;
  readonly consistency: number;
}

/** What a step of its own takes and shows. */
export interface OwnStep {
  /** Throws where the reply does not count. */
  check(reply: ProtectedUpdate, publicKey: string): void;
  /** Takes a reply that counts. */
  take(reply: ProtectedUpdate): void;
  show(group: string): Uint8Array;
}

/**
 * The aggregator's side of a round of which it learns a sum: keys, lists and signatures, the same in every protocol. What
 * hides the updates comes from the protocol.
 */
export abstract class SumCollection<Name extends string, Table extends Roster<Name>> implements Collection {
  protected readonly context: RoundContext;
  readonly #name: string;
  readonly #protocol: SumProtocol<Name>;
  readonly #steps: SumSteps;
  readonly #most: number;
  readonly #keys = new Map<string, Keys<Name>>();
  readonly #signatures = new Map<string, Uint8Array>();
  readonly #taken = new Map<number, Set<string>>();
  readonly #closed: (readonly string[])[] = [];
  /** Messages and statements that are the same for all groups: a thousand groups ask for them. */
  readonly #common = new Map<string, Uint8Array>();
  #own: ReadonlyMap<number, OwnStep> | undefined;
  #finished = false;
  #roster: Table | undefined;

  constructor(
    protection: { readonly name: string; readonly protocol: SumProtocol<Name>; readonly steps: SumSteps },
    { most }: Pick<SumSettings, 'most'>,
    context: RoundContext,
  ) {
    this.#name = protection.name;
    this.#protocol = protection.protocol;
    this.#steps = protection.steps;
    this.#most = most;
    this.context = context;
  }

  /** The protocol's own steps, by index: `shares`, `upload` and the last one. */
  protected abstract ownSteps(): ReadonlyMap<number, OwnStep>;

  protected abstract rosterFrom(adverts: readonly (Keys<Name> & { readonly group: string })[]): Table;

  /** The sum of the survivors' updates, opened. */
  protected abstract open(): Aggregate;

  abstract noteOf(step: number, reply: ProtectedUpdate): Uint8Array;
  abstract recall(step: number, group: string, note: Uint8Array): void;

  screen(step: number, reply: ProtectedUpdate, publicKey: string): number {
    this.#checkEnvelope(reply);
    if (step === this.#steps.keys) this.#checkKeys(reply, publicKey);
    else if (step === this.#steps.consistency) this.#checkSignature(reply, publicKey);
    else this.#ownStep(step).check(reply, publicKey);
    // As many as the ring has room for.
    return 1 / (this.#most + 0.5);
  }

  add(step: number, reply: ProtectedUpdate): void {
    this.#checkEnvelope(reply);
    const { group } = reply;
    const taken = this.#takenIn(step);
    if (taken.has(group)) throw refused('ROUND_REFUSED', reply, 'the group replied already');
    if (step === this.#steps.keys) this.#keys.set(group, this.#readKeys(reply));
    else if (step === this.#steps.consistency) this.#signatures.set(group, this.#readSignature(reply));
    else this.#ownStep(step).take(reply);
    taken.add(group);
  }

  close(step: number, groups: readonly string[]): void {
    invariant(this.#closed.length === step, 'steps are closed in order');
    this.#closed.push(groups);
  }

  show(step: number, group: string): Uint8Array {
    const { rosterMessage } = this.#protocol;
    const { keys, shares, consistency, upload } = this.#steps;
    if (step === keys) return new Uint8Array();
    if (step === shares) {
      return this.forAll('roster', () => rosterMessage.write({ adverts: [...this.roster.adverts.values()] }));
    }
    if (step === consistency) {
      const survivors = () => survivorsMessage.write({ survivors: [...this.repliedTo(upload)] });
      return this.forAll('survivors', survivors);
    }
    return this.#ownStep(step).show(group);
  }

  accused(): readonly string[] {
    return [];
  }

  lacks(): string | null {
    return null;
  }

  finish(): Aggregate {
    this.end();
    return this.open();
  }

  /** All updates of the survivors are there, and nothing was made of their sum before. */
  protected end(): void {
    const survivors = this.repliedTo(this.#steps.upload);
    const added = this.#takenIn(this.#steps.upload);
    const complete = added.size === survivors.length && survivors.every((group) => added.has(group));
    invariant(complete, 'the updates that were added are those of the survivors');
    invariant(!this.#finished, 'a sum is opened once');
    this.#finished = true;
  }

  /** The groups of the round with their keys, once the first step is closed. */
  get roster(): Table {
    this.#roster ??= this.rosterFrom(
      this.repliedTo(this.#steps.keys).map((group) => ({ group, ...this.#keys.get(group)! })),
    );
    return this.#roster;
  }

  /** What is the same for all groups, made once. */
  protected forAll(what: string, make: () => Uint8Array): Uint8Array {
    const known = this.#common.get(what) ?? make();
    this.#common.set(what, known);
    return known;
  }

  /** The groups that replied to a closed step. */
  protected repliedTo(step: number): readonly string[] {
    const groups = this.#closed[step];
    invariant(groups !== undefined, `step ${step} is closed`);
    return groups;
  }

  /** The signatures under the survivors, in code-unit order of the groups. */
  protected signatures(): { readonly group: string; readonly signature: Uint8Array }[] {
    return this.repliedTo(this.#steps.consistency).map((group) => ({
      group,
      signature: this.#signatures.get(group)!,
    }));
  }

  #ownStep(step: number): OwnStep {
    this.#own ??= this.ownSteps();
    const own = this.#own.get(step);
    invariant(own !== undefined, `step ${step} of the protocol`);
    return own;
  }

  #takenIn(step: number): Set<string> {
    const taken = this.#taken.get(step) ?? new Set<string>();
    this.#taken.set(step, taken);
    return taken;
  }

  #checkEnvelope(reply: ProtectedUpdate): void {
    const { protection, round } = reply;
    if (protection !== this.#name) throw refused('ROUND_REFUSED', reply, `its protection is "${protection}"`);
    if (round !== this.context.round)
      throw refused('ROUND_REFUSED', reply, `the sum is of round ${this.context.round}`);
  }

  #readKeys(reply: ProtectedUpdate): Keys<Name> {
    const keys = this.#protocol.keysMessage.read(reply.payload);
    if (keys === null) throw refused('UPDATE_MALFORMED', reply, 'its keys cannot be read');
    return keys;
  }

  #checkKeys(reply: ProtectedUpdate, publicKey: string): void {
    const keys = this.#readKeys(reply);
    if (hexOf(keys.identity) !== publicKey) {
      throw refused('SIGNATURE_INVALID', reply, 'its keys are of another identity');
    }
    if (!areSigned(this.#protocol, this.context, reply.group, keys)) {
      throw refused('SIGNATURE_INVALID', reply, 'its keys are not signed by its identity');
    }
    if (this.#protocol.names.every((name) => givesSecrets(keys[name]))) return;
    throw refused('UPDATE_MALFORMED', reply, 'a key of it gives no secret');
  }

  #readSignature(reply: ProtectedUpdate): Uint8Array {
    const message = consistencyMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its signature cannot be read');
    return message.signature;
  }

  #checkSignature(reply: ProtectedUpdate, publicKey: string): void {
    const signature = this.#readSignature(reply);
    const [sharers, survivors] = [this.#steps.shares, this.#steps.upload].map((step) => this.repliedTo(step));
    const lists = { roster: this.roster.digest, sharers: sharers!, survivors: survivors! };
    const make = () => this.#protocol.consistencyStatement(this.context, lists);
    if (isSignedBy(publicKey, this.forAll('survivors signed', make), hexOf(signature))) return;
    throw refused('SIGNATURE_INVALID', reply, 'it signs another list of survivors');
  }
}
