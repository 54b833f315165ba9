import { bytesFrom } from '../../core/bytes.ts';
import { invariant } from '../../core/errors.ts';
import type { GroupSetup } from '../protection.ts';
import { HeardLists } from '../secure-sum/heard.ts';
import { type KeyPair, keyPairOf } from '../secure-sum/key-agreement.ts';
import { keyFor, sealKey } from '../secure-sum/keys.ts';
import { untrusted } from '../secure-sum/roster.ts';
import { openSealed } from '../secure-sum/sealed-share.ts';
import { trusteesOf } from './committee.ts';
import { type Advert, deliveryMessage, type KeyName, SEALED, STEP, signaturesMessage } from './messages.ts';
import { shareKey } from './readers.ts';
import { type RingElement, unpackElement } from './ring.ts';
import { type Roster, rosterOf } from './roster.ts';
import type { SealSettings } from './settings.ts';

/** Who shared, and the boxes for this group where it is a member: one from each of the others who shared. */
export interface Delivery {
  readonly sharers: readonly string[];
  readonly boxes: ReadonlyMap<string, Uint8Array>;
}

/** What the aggregator showed a group in one attempt of a round under `seal`, as far as it can be believed. Errors: see `HeardLists`. */
export class Heard extends HeardLists<KeyName, Roster> {
  readonly settings: SealSettings;
  readonly #pair: KeyPair;
  #delivery: Delivery | undefined;

  constructor(settings: SealSettings, setup: GroupSetup) {
    super(SEALED, STEP, settings, setup);
    this.settings = settings;
    this.#pair = keyPairOf(keyFor(setup.secret, 'cipher key', setup.context));
  }

  override sharers(): readonly string[] {
    return this.delivery().sharers;
  }

  delivery(): Delivery {
    this.#delivery ??= this.#readDelivery();
    return this.#delivery;
  }

  /** Whether this group keeps shares. */
  isMember(): boolean {
    return this.roster().committee.members.includes(this.setup.group);
  }

  /** The readers' key, which who holds ciphertext does not have; wanted from the first box on. */
  readersKey(): Uint8Array {
    const { readersKey } = this.setup;
    invariant(readersKey !== undefined, "a group that has the readers' key");
    return readersKey;
  }

  /** The key that seals a share on its way between this group and another. */
  sealKey(route: { from: string; to: string }, other: string): Uint8Array {
    const key = sealKey(this.#pair, this.roster(), route, other);
    if (key === null) throw untrusted(this.setup.context, `the keys of group "${other}" give no secret`);
    return this.settings.holds === 'clear' ? key : shareKey(this.readersKey(), key);
  }

  /** The share that another group gave this member; null where its box does not open, or has no share in it. */
  shareFrom(other: string): RingElement | null {
    const box = this.delivery().boxes.get(other);
    if (box === undefined) return null;
    const opened = openSealed(this.sealKey({ from: other, to: this.setup.group }, other), box);
    return opened === null ? null : unpackElement(opened);
  }

  /** Throws unless more than two thirds of all signed the very lists that this group was shown. */
  checkSignatures(): void {
    const shown = signaturesMessage.read(this.setup.heard(STEP.open));
    if (shown === null) throw untrusted(this.setup.context, 'the signatures cannot be read');
    this.checkQuorum(shown.signatures);
  }

  /** Trustees hide nobody. */
  protected override hiding(names: readonly string[]): number {
    const trustees = new Set(trusteesOf(this.settings.committee));
    return names.filter((name) => !trustees.has(name)).length;
  }

  protected override publicKeys(): Readonly<Record<KeyName, Uint8Array>> {
    return { cipherKey: bytesFrom(this.#pair.publicKey) };
  }

  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    return rosterOf(this.setup.context, adverts, this.settings.committee);
  }

  #readDelivery(): Delivery {
    const { context, group } = this.setup;
    const shown = deliveryMessage.read(this.setup.heard(STEP.upload));
    if (shown === null) throw untrusted(context, 'the shares cannot be read');
    const { sharers, sealed } = shown;
    this.checkNames(sharers, this.roster().groups, 'shared');
    const from = this.isMember() ? sharers.filter((other) => other !== group) : [];
    if (sealed.length !== from.length) {
      throw untrusted(context, 'the shares are not those of the groups that shared');
    }
    return { sharers, boxes: new Map(from.map((other, index) => [other, sealed[index]!])) };
  }
}
