import { bytesFrom, hexOf } from '../../core/bytes.ts';
import type { GroupSetup } from '../protection.ts';
import { HeardLists } from '../secure-sum/heard.ts';
import type { KeyPair } from '../secure-sum/key-agreement.ts';
import { sealKey } from '../secure-sum/keys.ts';
import { tooFew, untrusted } from '../secure-sum/roster.ts';
import { openSealed } from '../secure-sum/sealed-share.ts';
import { keyPairsOf, pairMaskKey } from './keys.ts';
import {
  type Advert,
  deliveryMessage,
  type KeyName,
  MASKED,
  STEP,
  signaturesMessage,
  uploadStatement,
} from './messages.ts';
import { type Roster, rosterOf } from './roster.ts';
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

/** What the aggregator showed a group in one attempt of a masked round, as far as it can be believed. Errors: see `HeardLists`. */
export class Heard extends HeardLists<KeyName, Roster> {
  readonly settings: MaskSettings;
  readonly pairs: { readonly cipher: KeyPair; readonly mask: KeyPair };
  #delivery: Delivery | undefined;
  #uploadStatement: Uint8Array | undefined;

  constructor(settings: MaskSettings, setup: GroupSetup) {
    super(MASKED, STEP, settings, setup);
    this.settings = settings;
    this.pairs = keyPairsOf(setup.secret, setup.context);
  }

  override sharers(): readonly string[] {
    return this.delivery().sharers;
  }

  /** This group's neighbours, in code-unit order. */
  neighbours(): readonly string[] {
    return this.roster().neighbours.get(this.setup.group) ?? [];
  }

  delivery(): Delivery {
    this.#delivery ??= this.#readDelivery();
    return this.#delivery;
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

  /** Throws unless the lists are signed as they were shown, and each neighbour's upload for the same sharers. */
  checkSignatures(): void {
    const shown = signaturesMessage.read(this.setup.heard(STEP.unmask));
    if (shown === null) throw untrusted(this.setup.context, 'the signatures cannot be read');
    this.checkUploads(shown.uploads);
    this.checkQuorum(shown.signatures);
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

  protected override publicKeys(): Readonly<Record<KeyName, Uint8Array>> {
    const { cipher, mask } = this.pairs;
    return { cipherKey: bytesFrom(cipher.publicKey), maskKey: bytesFrom(mask.publicKey) };
  }

  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    return rosterOf(this.setup.context, adverts, this.settings.assumed);
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
}
