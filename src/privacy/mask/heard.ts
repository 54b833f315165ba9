import { bytesFrom, hexOf } from '../../core/bytes.ts';
import type { GroupSetup } from '../protection.ts';
import type { KeyPair } from './key-agreement.ts';
import { keyPairsOf, pairMaskKey, sealKey } from './keys.ts';
import {
  type Advert,
  consistencyStatement,
  deliveryMessage,
  type Keys,
  keysStatement,
  rosterMessage,
  STEP,
  signaturesMessage,
  survivorsMessage,
  uploadStatement,
} from './messages.ts';
import { areSigned, isAscending, isCanonical, type Roster, rosterOf, tooFew, untrusted } from './roster.ts';
import { openSealed } from './sealed-share.ts';
import type { MaskSettings } from './settings.ts';

/** The two shares that a neighbour gave this group to keep. */
export interface HeldShares {
  /** Of the secret of its self mask. */
  readonly self: Uint8Array;
  /** Of its mask key. */
  readonly mask: Uint8Array;
}

/** Who shared, and what this group keeps for those of them who are its neighbours. */
export interface Delivery {
  readonly sharers: readonly string[];
  /** Null for a neighbour whose shares do not open: it is masked against all the same. */
  readonly held: ReadonlyMap<string, HeldShares | null>;
}

/**
 * What the aggregator showed a group in one attempt of a round, believed only as far as it is checked. All errors are
 * AGGREGATOR_UNTRUSTED, for what an honest aggregator does not show, or ROUND_REFUSED, for too few groups.
 */
export class Heard {
  readonly settings: MaskSettings;
  readonly setup: GroupSetup;
  readonly pairs: { readonly cipher: KeyPair; readonly mask: KeyPair };
  #roster: Roster | undefined;
  #delivery: Delivery | undefined;
  #survivors: readonly string[] | undefined;
  #statement: Uint8Array | undefined;
  #uploadStatement: Uint8Array | undefined;

  constructor(settings: MaskSettings, setup: GroupSetup) {
    this.settings = settings;
    this.setup = setup;
    this.pairs = keyPairsOf(setup.secret, setup.context);
  }

  /** This group's keys, signed. */
  ownKeys(): Keys {
    const { context, group, identity } = this.setup;
    const keys = {
      identity: bytesFrom(identity.publicKey),
      cipherKey: bytesFrom(this.pairs.cipher.publicKey),
      maskKey: bytesFrom(this.pairs.mask.publicKey),
    };
    return { ...keys, signature: bytesFrom(identity.sign(keysStatement(context, group, keys))) };
  }

  /** Everybody's keys. */
  roster(): Roster {
    this.#roster ??= this.readRoster();
    return this.#roster;
  }

  /** This group's neighbours, in code-unit order. */
  neighbours(): readonly string[] {
    return this.roster().neighbours.get(this.setup.group) ?? [];
  }

  delivery(): Delivery {
    this.#delivery ??= this.#readDelivery();
    return this.#delivery;
  }

  /** Whose updates are in the sum. */
  survivors(): readonly string[] {
    this.#survivors ??= this.#readSurvivors();
    return this.#survivors;
  }

  /** What this group signs, and wants signed by the others: computed once, for it is checked against all of them. */
  statement(): Uint8Array {
    const { sharers } = this.delivery();
    const lists = { roster: this.roster().digest, sharers, survivors: this.survivors() };
    this.#statement ??= consistencyStatement(this.setup.context, lists);
    return this.#statement;
  }

  /** What this group signs with its upload, and wants signed by each neighbour that it helps to unmask. */
  uploadStatement(): Uint8Array {
    const { sharers } = this.delivery();
    this.#uploadStatement ??= uploadStatement(this.setup.context, { roster: this.roster().digest, sharers });
    return this.#uploadStatement;
  }

  /** The key that seals shares on one way between this group and another. */
  sealKey(route: { from: string; to: string }, other: string): Uint8Array {
    const key = sealKey(this.pairs.cipher, this.roster(), route, other);
    if (key === null) throw untrusted(this.setup.context, `the keys of group "${other}" give no secret`);
    return key;
  }

  /** Key of the mask that this group shares with a neighbour. */
  pairKey(other: string): Uint8Array {
    const key = pairMaskKey(this.pairs.mask, this.roster(), [this.setup.group, other], other);
    if (key === null) throw untrusted(this.setup.context, `the keys of group "${other}" give no secret`);
    return key;
  }

  /** Throws unless more than two thirds of all signed the very lists that this group was shown. */
  checkSignatures(): void {
    const { context } = this.setup;
    const { quorum } = this.roster();
    const shown = signaturesMessage.read(this.setup.heard(STEP.unmask));
    if (shown === null || !isAscending(shown.signatures.map(({ group }) => group))) {
      throw untrusted(context, 'the signatures cannot be read');
    }
    const { signatures, uploads } = shown;
    this.checkUploads(uploads);
    const survived = new Set(this.survivors());
    for (const { group, signature } of signatures) {
      if (survived.has(group) && this.isSignedBy(group, signature)) continue;
      throw untrusted(context, `group "${group}" did not sign the list of survivors that was shown here`);
    }
    if (signatures.length < quorum) {
      throw tooFew(context, signatures.length, quorum, 'signed the list of survivors');
    }
  }

  /** Throws unless each neighbour whose self mask is to be taken off masked its update for the sharers that this group knows. */
  protected checkUploads(uploads: readonly (Uint8Array | null)[]): void {
    const { context, verify } = this.setup;
    const { adverts } = this.roster();
    const survived = new Set(this.survivors());
    const neighbours = [...this.delivery().held.keys()];
    if (uploads.length !== neighbours.length) throw untrusted(context, 'the signatures cannot be read');
    for (const [index, other] of neighbours.entries()) {
      if (!survived.has(other)) continue;
      const signature = uploads[index] ?? null;
      const identity = hexOf(adverts.get(other)!.identity);
      if (signature !== null && verify(identity, this.uploadStatement(), hexOf(signature))) continue;
      throw untrusted(context, `group "${other}" masked its update for other groups than were shown here`);
    }
  }

  /** Whether a group of the roster signed the lists that this one was shown. */
  protected isSignedBy(group: string, signature: Uint8Array): boolean {
    const advert = this.roster().adverts.get(group);
    return (
      advert !== undefined && this.setup.verify(hexOf(advert.identity), this.statement(), hexOf(signature))
    );
  }

  /** Fewest groups of any set that a step is about. */
  protected least(): number {
    return Math.max(this.settings.least, this.setup.peers.least);
  }

  /** Everybody computes the graph and the threshold from the keys and the run's settings: nobody is asked for them. */
  protected readGraph(adverts: readonly Advert[]): Roster {
    return rosterOf(this.setup.context, adverts, this.settings.assumed);
  }

  /** Keys are those of whom they say: signed in this attempt, and by the identity that is known. */
  protected checkAdvert(advert: Advert): void {
    const { context, peers, verify } = this.setup;
    if (!areSigned(context, advert.group, advert, verify)) {
      throw untrusted(context, `the keys of group "${advert.group}" are not signed by its identity`);
    }
    if (!isCanonical(advert.cipherKey) || !isCanonical(advert.maskKey)) {
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
    const enough = Math.max(this.least(), this.roster().quorum);
    if (names.length < enough) throw tooFew(context, names.length, enough, what);
  }

  /** The keys that were shown, all of them checked. */
  protected readRoster(): Roster {
    const { context } = this.setup;
    const adverts = rosterMessage.read(this.setup.heard(STEP.shares))?.adverts;
    if (adverts === undefined) throw untrusted(context, 'the list of keys cannot be read');
    if (adverts.length < this.least()) throw tooFew(context, adverts.length, this.least(), 'take part');
    if (adverts.length > this.settings.most) {
      throw untrusted(context, 'it has more groups than the sum can hold');
    }
    if (!isAscending(adverts.map(({ group }) => group))) throw untrusted(context, 'a group is listed twice');
    this.#checkDistinct(adverts);
    this.#checkOwn(adverts);
    for (const advert of adverts) this.checkAdvert(advert);
    return this.readGraph(adverts);
  }

  #checkDistinct(adverts: readonly Advert[]): void {
    for (const key of ['identity', 'cipherKey', 'maskKey'] as const) {
      if (new Set(adverts.map((advert) => hexOf(advert[key]))).size === adverts.length) continue;
      throw untrusted(this.setup.context, `two groups have the same ${key}`);
    }
  }

  #checkOwn(adverts: readonly Advert[]): void {
    const listed = adverts.find(({ group }) => group === this.setup.group);
    const own = this.ownKeys();
    const keys = ['identity', 'cipherKey', 'maskKey'] as const;
    if (listed !== undefined && keys.every((key) => hexOf(listed[key]) === hexOf(own[key]))) return;
    throw untrusted(this.setup.context, "this group's own keys are not in the list");
  }

  #readDelivery(): Delivery {
    const { context } = this.setup;
    const shown = deliveryMessage.read(this.setup.heard(STEP.upload));
    if (shown === null) throw untrusted(context, 'the shares cannot be read');
    const { sharers, sealed } = shown;
    this.checkNames(sharers, this.roster().groups, 'shared');
    const shared = new Set(sharers);
    const neighbours = this.neighbours();
    const fits =
      sealed.length === neighbours.length &&
      neighbours.every((from, index) => (sealed[index] !== null) === shared.has(from));
    if (!fits) throw untrusted(context, 'the shares are not those of the neighbours who shared');
    const held = new Map<string, HeldShares | null>();
    for (const [index, from] of neighbours.entries()) {
      const box = sealed[index] ?? null;
      if (box !== null) held.set(from, this.#open(from, box));
    }
    const { threshold } = this.roster().plan;
    if (held.size < threshold) throw tooFew(context, held.size, threshold, 'among the neighbours shared');
    return { sharers, held };
  }

  #open(from: string, box: Uint8Array): HeldShares | null {
    const opened = openSealed(this.sealKey({ from, to: this.setup.group }, from), box);
    return opened === null ? null : { self: opened.slice(0, 32), mask: opened.slice(32) };
  }

  #readSurvivors(): readonly string[] {
    const shown = survivorsMessage.read(this.setup.heard(STEP.consistency));
    if (shown === null) throw untrusted(this.setup.context, 'the list of survivors cannot be read');
    this.checkNames(shown.survivors, this.delivery().sharers, 'uploaded');
    return shown.survivors;
  }
}
