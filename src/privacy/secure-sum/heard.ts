import { bytesFrom, hexOf } from '../../core/bytes.ts';
import type { GroupSetup } from '../protection.ts';
import type { Advert, Keys, Signature, SumProtocol } from './protocol.ts';
import { survivorsMessage } from './protocol.ts';
import { areSigned, isAscending, isCanonical, type Roster, tooFew, untrusted } from './roster.ts';
import type { SumSettings } from './settings.ts';

/** The steps whose messages are the same in every protocol. */
export interface ListSteps {
  /** Shows the keys. */
  readonly shares: number;
  /** Shows the survivors. */
  readonly consistency: number;
}

/**
 * What the aggregator showed a group in one attempt of a round: keys and lists, believed only as far as they are checked. All errors are
 * AGGREGATOR_UNTRUSTED, for what an honest aggregator does not show, or ROUND_REFUSED, for too few groups.
 */
export abstract class HeardLists<Name extends string, Table extends Roster<Name>> {
  readonly setup: GroupSetup;
  readonly #protocol: SumProtocol<Name>;
  readonly #steps: ListSteps;
  readonly #bounds: Pick<SumSettings, 'least' | 'most'>;
  #roster: Table | undefined;
  #survivors: readonly string[] | undefined;
  #statement: Uint8Array | undefined;

  constructor(
    protocol: SumProtocol<Name>,
    steps: ListSteps,
    bounds: Pick<SumSettings, 'least' | 'most'>,
    setup: GroupSetup,
  ) {
    this.#protocol = protocol;
    this.#steps = steps;
    this.#bounds = bounds;
    this.setup = setup;
  }

  /** This group's X25519 keys in the attempt. */
  protected abstract publicKeys(): Readonly<Record<Name, Uint8Array>>;

  /** What everybody computes from the keys and the run's settings: nobody is asked for it. */
  protected abstract rosterFrom(adverts: readonly Advert<Name>[]): Table;

  /** Who gave the others their shares. */
  abstract sharers(): readonly string[];

  /** This group's keys, signed. */
  ownKeys(): Keys<Name> {
    const { context, group, identity } = this.setup;
    const keys = { ...this.publicKeys(), identity: bytesFrom(identity.publicKey) };
    const signature = bytesFrom(identity.sign(this.#protocol.keysStatement(context, group, keys)));
    return { ...keys, signature };
  }

  /** Everybody's keys. */
  roster(): Table {
    this.#roster ??= this.readRoster();
    return this.#roster;
  }

  /** Whose updates are in the sum. */
  survivors(): readonly string[] {
    this.#survivors ??= this.#readSurvivors();
    return this.#survivors;
  }

  /** What this group signs, and wants signed by the others: computed once, for it is checked against all of them. */
  statement(): Uint8Array {
    const lists = { roster: this.roster().digest, sharers: this.sharers(), survivors: this.survivors() };
    this.#statement ??= this.#protocol.consistencyStatement(this.setup.context, lists);
    return this.#statement;
  }

  /** Throws unless more than two thirds of all signed the very lists that this group was shown. */
  protected checkQuorum(signatures: readonly Signature[]): void {
    const { context } = this.setup;
    const { quorum } = this.roster();
    if (!isAscending(signatures.map(({ group }) => group))) {
      throw untrusted(context, 'the signatures cannot be read');
    }
    const survived = new Set(this.survivors());
    for (const { group, signature } of signatures) {
      if (survived.has(group) && this.isSignedBy(group, signature)) continue;
      throw untrusted(context, `group "${group}" did not sign the list of survivors that was shown here`);
    }
    if (signatures.length < quorum) {
      throw tooFew(context, signatures.length, quorum, 'signed the list of survivors');
    }
  }

  /** Whether a group of the roster signed the lists that this one was shown. */
  protected isSignedBy(group: string, signature: Uint8Array): boolean {
    const advert = this.roster().adverts.get(group);
    return (
      advert !== undefined && this.setup.verify(hexOf(advert.identity), this.statement(), hexOf(signature))
    );
  }

  /** How many of these send updates that hide each other. */
  protected hiding(names: readonly string[]): number {
    return names.length;
  }

  /** Fewest groups of any set that a step is about. */
  protected least(): number {
    return Math.max(this.#bounds.least, this.setup.peers.least);
  }

  /** Keys are those of whom they say: signed in this attempt, and by the identity that is known. */
  protected checkAdvert(advert: Advert<Name>): void {
    const { context, peers, verify } = this.setup;
    const { names } = this.#protocol;
    if (!areSigned(this.#protocol, context, advert.group, advert, verify)) {
      throw untrusted(context, `the keys of group "${advert.group}" are not signed by its identity`);
    }
    if (!names.every((name) => isCanonical(advert[name]))) {
      throw untrusted(context, `the keys of group "${advert.group}" are not written as keys are`);
    }
    if (peers.trusts(advert.group, hexOf(advert.identity))) return;
    throw untrusted(context, `the identity of group "${advert.group}" is not the one that is known`);
  }

  /** Names that are shown as what is left of a step before: in order, among them, with this group, and enough. */
  protected checkNames(names: readonly string[], before: readonly string[], what: string): void {
    const { context, group } = this.setup;
    const among = new Set(before);
    if (!isAscending(names) || !names.every((name) => among.has(name))) {
      throw untrusted(context, `the list of those who ${what} names somebody who cannot be in it`);
    }
    if (!names.includes(group)) throw untrusted(context, `this group is not among those who ${what}`);
    this.#checkHiding(names, what);
    const { quorum } = this.roster();
    if (names.length < quorum) throw tooFew(context, names.length, quorum, what);
  }

  /** The keys that were shown, all of them checked. */
  protected readRoster(): Table {
    const { context } = this.setup;
    const adverts = this.shownAdverts();
    if (adverts === undefined) throw untrusted(context, 'the list of keys cannot be read');
    const names = adverts.map(({ group }) => group);
    this.#checkHiding(names, 'take part');
    if (adverts.length > this.#bounds.most) {
      throw untrusted(context, 'it has more groups than the sum can hold');
    }
    if (!isAscending(names)) throw untrusted(context, 'a group is listed twice');
    this.#checkDistinct(adverts);
    this.#checkOwn(adverts);
    for (const advert of adverts) this.checkAdvert(advert);
    return this.rosterFrom(adverts);
  }

  /** The keys that were shown; undefined where they cannot be read. */
  protected shownAdverts(): readonly Advert<Name>[] | undefined {
    return this.#protocol.rosterMessage.read(this.setup.heard(this.#steps.shares))?.adverts;
  }

  #checkHiding(names: readonly string[], what: string): void {
    const found = this.hiding(names);
    if (found < this.least()) throw tooFew(this.setup.context, found, this.least(), what);
  }

  #checkDistinct(adverts: readonly Advert<Name>[]): void {
    for (const key of ['identity', ...this.#protocol.names] as const) {
      if (new Set(adverts.map((advert) => hexOf(advert[key]))).size === adverts.length) continue;
      throw untrusted(this.setup.context, `two groups have the same ${key}`);
    }
  }

  #checkOwn(adverts: readonly Advert<Name>[]): void {
    const listed = adverts.find(({ group }) => group === this.setup.group);
    const own = this.ownKeys();
    const keys = ['identity', ...this.#protocol.names] as const;
    if (listed !== undefined && keys.every((key) => hexOf(listed[key]) === hexOf(own[key]))) return;
    throw untrusted(this.setup.context, "this group's own keys are not in the list");
  }

  #readSurvivors(): readonly string[] {
    const shown = survivorsMessage.read(this.setup.heard(this.#steps.consistency));
    if (shown === null) throw untrusted(this.setup.context, 'the list of survivors cannot be read');
    this.checkNames(shown.survivors, this.sharers(), 'uploaded');
    return shown.survivors;
  }
}
