import { hexOf } from '../../core/bytes.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import type { ProtectedUpdate } from '../../wire/stages.ts';
import type { RoundContext } from '../protection.ts';
import { type OwnStep, refused, SumCollection } from '../secure-sum/collection.ts';
import { wordsOf } from '../secure-sum/words.ts';
import { addCiphertext, type CiphertextSum, ciphertextBytes, emptySum } from './ciphertext.ts';
import {
  type Advert,
  deliveryMessage,
  type KeyName,
  SEALED,
  type Shares,
  STEP,
  sharesMessage,
  signaturesMessage,
} from './messages.ts';
import { type Roster, rosterOf } from './roster.ts';
import type { SealSettings } from './settings.ts';

const DIGEST_BYTES = 32;
const NOTHING = new Uint8Array();

/** What a reply to the last step says: its share of the key of the sum, or what stands for it; null where it has none. */
export interface Answered<Answer> {
  /** Digest of the roster that it is about. */
  readonly roster: Uint8Array;
  readonly answer: Answer | null;
}

/**
 * The aggregator's side of a round under `seal`, up to the answers of the committee: it sees keys, sealed shares and ciphertexts, and adds
 * these up. What it makes of the answers comes from who holds the models of the run.
 */
export abstract class CipherCollection<Answer> extends SumCollection<KeyName, Roster> {
  protected readonly settings: SealSettings;
  readonly #shares = new Map<string, Shares>();
  readonly #answers = new Map<string, Answer | null>();
  #sum: CiphertextSum | undefined;

  constructor(name: string, settings: SealSettings, context: RoundContext) {
    super({ name, protocol: SEALED, steps: STEP }, settings, context);
    this.settings = settings;
  }

  /** Reads a reply to the last step. Errors: UPDATE_MALFORMED. */
  protected abstract readAnswer(reply: ProtectedUpdate): Answered<Answer>;

  override noteOf(): Uint8Array {
    return NOTHING;
  }

  override recall(step: number): void {
    invariant(step === STEP.upload, 'only uploads are recalled');
  }

  override lacks(): string | null {
    const { round } = this.context;
    const { threshold } = this.roster.committee;
    const { length } = this.answers();
    if (length >= threshold) return null;
    return `round ${round}: ${length} of ${threshold} needed members of the committee gave a share that opens the sum`;
  }

  protected override ownSteps(): ReadonlyMap<number, OwnStep> {
    return new Map([
      [STEP.shares, this.#sharesStep()],
      [STEP.upload, this.#uploadStep()],
      [STEP.open, this.#openStep()],
    ]);
  }

  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    return rosterOf(this.context, adverts, this.settings.committee);
  }

  /** The sum of the ciphertexts, and what members gave that could, enough of them. Errors: ROUND_FAILED. */
  protected toOpen() {
    invariant(this.#sum !== undefined, 'survivors whose updates are in the sum');
    const lacks = this.lacks();
    if (lacks !== null) {
      throw new PluralError('ROUND_FAILED', lacks, {
        hint: 'Nothing of the sum was revealed. Fewer groups may be lost in a round.',
      });
    }
    return { sum: this.#sum, answers: this.answers(), survivors: this.repliedTo(STEP.upload) };
  }

  /** What members gave that could, with their places in the committee, from 1 on. */
  protected answers() {
    return this.roster.committee.members.flatMap((member, index) => {
      const answer = this.#answers.get(member) ?? null;
      return answer === null ? [] : [{ member, x: index + 1, answer }];
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
        const { plan, grid } = this.settings;
        this.#sum ??= emptySum(plan, wordsOf(this.context.parameters, grid));
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
      check: (reply) => void this.#checkedAnswer(reply),
      take: (reply) => void this.#answers.set(reply.group, this.#checkedAnswer(reply)),
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
    const { plan, grid } = this.settings;
    const expected = DIGEST_BYTES + ciphertextBytes(plan, wordsOf(this.context.parameters, grid));
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

  #checkedAnswer(reply: ProtectedUpdate): Answer | null {
    const { roster, answer } = this.readAnswer(reply);
    this.#checkRoster(reply, roster, 'share is');
    if (answer === null || this.roster.committee.members.includes(reply.group)) return answer;
    throw refused('UPDATE_MALFORMED', reply, 'it is no member of the committee');
  }
}
