import { asStage } from '../../core/brand.ts';
import { hexOf } from '../../core/bytes.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import type { Aggregate, ProtectedUpdate } from '../../wire/stages.ts';
import type { RoundContext } from '../protection.ts';
import { type OwnStep, refused, SumCollection } from '../secure-sum/collection.ts';
import { sumOfWords, wordsOf } from '../secure-sum/words.ts';
import { addCiphertext, type CiphertextSum, ciphertextBytes, emptySum } from './ciphertext.ts';
import {
  type Advert,
  deliveryMessage,
  type KeyName,
  openMessage,
  SEALED,
  type Shares,
  STEP,
  sharesMessage,
  signaturesMessage,
} from './messages.ts';
import { openSum } from './open-sum.ts';
import { type RingElement, unpackElement } from './ring.ts';
import { type Roster, rosterOf } from './roster.ts';
import type { SealSettings } from './settings.ts';

const DIGEST_BYTES = 32;
const NOTHING = new Uint8Array();

/**
 * The aggregator's side of a round under `seal`. It sees keys, sealed shares and ciphertexts, and of the members each one share of
 * the key of the sum: with as many as the threshold it reads the sum of those who survived, all of them together or none.
 */
export class SealedCollection extends SumCollection<KeyName, Roster> {
  readonly #settings: SealSettings;
  readonly #shares = new Map<string, Shares>();
  readonly #opened = new Map<string, RingElement | null>();
  #sum: CiphertextSum | undefined;
  #accused: readonly string[] = [];

  constructor(name: string, settings: SealSettings, context: RoundContext) {
    super({ name, protocol: SEALED, steps: STEP }, settings, context);
    this.#settings = settings;
  }

  override noteOf(): Uint8Array {
    return NOTHING;
  }

  override recall(step: number): void {
    invariant(step === STEP.upload, 'only uploads are recalled');
  }

  override lacks(): string | null {
    const { round } = this.context;
    const { threshold } = this.roster.committee;
    const { length } = this.#memberShares();
    if (length >= threshold) return null;
    return `round ${round}: ${length} of ${threshold} needed members of the committee gave a share that opens the sum`;
  }

  override accused(): readonly string[] {
    return this.#accused;
  }

  protected override ownSteps(): ReadonlyMap<number, OwnStep> {
    return new Map([
      [STEP.shares, this.#sharesStep()],
      [STEP.upload, this.#uploadStep()],
      [STEP.open, this.#openStep()],
    ]);
  }

  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    return rosterOf(this.context, adverts, this.#settings.committee);
  }

  protected override open(): Aggregate {
    const { round } = this.context;
    const { committee, seed } = this.roster;
    invariant(this.#sum !== undefined, 'survivors whose updates are in the sum');
    const lacks = this.lacks();
    if (lacks !== null) {
      throw new PluralError('ROUND_FAILED', lacks, {
        hint: 'Nothing of the sum was revealed. Fewer groups may be lost in a round.',
      });
    }
    const shares = this.#memberShares();
    const { plan } = this.#settings;
    const words = wordsOf(this.context.parameters);
    const opened = openSum({ plan, sum: this.#sum, words, seed, shares, threshold: committee.threshold });
    if (opened === null) {
      throw new PluralError(
        'ROUND_FAILED',
        `round ${round}: no ${committee.threshold} of the ${shares.length} shares open the sum, or more than one sum: members gave wrong ones, or a group dealt wrong ones`,
        { hint: 'Start the run again: it skips this round. Ask the groups what they run.' },
      );
    }
    this.#accused = opened.liars;
    const survivors = this.repliedTo(STEP.upload);
    return asStage({ round, groups: [...survivors], ...sumOfWords(opened.words, this.#settings) });
  }

  /** What members gave that could. */
  #memberShares() {
    return this.roster.committee.members.flatMap((member, index) => {
      const share = this.#opened.get(member) ?? null;
      return share === null ? [] : [{ member, x: index + 1, share }];
    });
  }

  #sharesStep(): OwnStep {
    return {
      check: (reply) => void this.#readShares(reply),
      take: (reply) => void this.#shares.set(reply.group, this.#readShares(reply)),
      show: () => NOTHING,
    };
  }

  #uploadStep(): OwnStep {
    return {
      check: (reply) => void this.#readUpload(reply),
      take: (reply) => {
        const ciphertext = this.#readUpload(reply);
        const { plan } = this.#settings;
        this.#sum ??= emptySum(plan, wordsOf(this.context.parameters));
        addCiphertext(this.#sum, ciphertext, plan);
      },
      show: (group) =>
        deliveryMessage.write({
          sharers: [...this.repliedTo(STEP.shares)],
          sealed: this.#sealedFor(group),
        }),
    };
  }

  #openStep(): OwnStep {
    return {
      check: (reply) => void this.#readOpened(reply),
      take: (reply) => void this.#opened.set(reply.group, this.#readOpened(reply)),
      show: () => this.forAll('signatures', () => signaturesMessage.write({ signatures: this.signatures() })),
    };
  }

  /** Members of the committee that a group gives shares to, or gets shares from: all but itself. */
  #othersOf(group: string): readonly string[] {
    return this.roster.committee.members.filter((member) => member !== group);
  }

  #checkRoster(reply: ProtectedUpdate, roster: Uint8Array, what: string): void {
    if (hexOf(roster) === this.roster.digest) return;
    throw refused('ROUND_REFUSED', reply, `its ${what} for another set of groups`);
  }

  #readShares(reply: ProtectedUpdate): Shares {
    const shares = sharesMessage.read(reply.payload);
    if (shares === null) throw refused('UPDATE_MALFORMED', reply, 'its shares cannot be read');
    this.#checkRoster(reply, shares.roster, 'shares are');
    if (shares.sealed.length === this.#othersOf(reply.group).length) return shares;
    throw refused('UPDATE_MALFORMED', reply, `it has ${shares.sealed.length} shares`);
  }

  /** The ciphertext of an upload, behind the digest of the roster. */
  #readUpload(reply: ProtectedUpdate): Uint8Array {
    const { payload } = reply;
    const expected = DIGEST_BYTES + ciphertextBytes(this.#settings.plan, wordsOf(this.context.parameters));
    if (payload.byteLength !== expected) {
      throw refused('UPDATE_LENGTH', reply, `it has ${payload.byteLength} bytes instead of ${expected}`);
    }
    this.#checkRoster(reply, payload.subarray(0, DIGEST_BYTES), 'update is');
    return payload.subarray(DIGEST_BYTES);
  }

  /** What the sharers sealed for a group; nothing where it is no member. */
  #sealedFor(group: string): Uint8Array[] {
    if (!this.roster.committee.members.includes(group)) return [];
    const others = this.repliedTo(STEP.shares).filter((from) => from !== group);
    return others.map((from) => this.#shares.get(from)!.sealed[this.#othersOf(from).indexOf(group)]!);
  }

  #readOpened(reply: ProtectedUpdate): RingElement | null {
    const message = openMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its share cannot be read');
    this.#checkRoster(reply, message.roster, 'share is');
    if (message.share === null) return null;
    if (!this.roster.committee.members.includes(reply.group)) {
      throw refused('UPDATE_MALFORMED', reply, 'it is no member of the committee');
    }
    const share = unpackElement(message.share);
    if (share === null) throw refused('UPDATE_MALFORMED', reply, 'its share is no element of the ring');
    return share;
  }
}
