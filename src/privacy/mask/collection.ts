import { asStage } from '../../core/brand.ts';
import { hexOf } from '../../core/bytes.ts';
import { invariant } from '../../core/errors.ts';
import { isSignedBy } from '../../wire/identity.ts';
import type { Aggregate, ProtectedUpdate } from '../../wire/stages.ts';
import type { RoundContext } from '../protection.ts';
import { type OwnStep, refused, SumCollection } from '../secure-sum/collection.ts';
import { addPacked, isPacked, packedBytes } from '../secure-sum/packing.ts';
import { sumOfWords, wordsOf } from '../secure-sum/words.ts';
import {
  type Advert,
  deliveryMessage,
  type KeyName,
  MASKED,
  type Shares,
  STEP,
  sharesMessage,
  signaturesMessage,
  unmaskMessage,
  uploadStatement,
} from './messages.ts';
import { type Roster, rosterOf } from './roster.ts';
import type { MaskSettings } from './settings.ts';
import { takeOffMasks } from './unmask.ts';

export const MASK = 'mask';

const DIGEST_BYTES = 32;
/** Of an upload: the digest of the roster, and the signature. */
const HEAD_BYTES = DIGEST_BYTES + 64;
const NOTHING = new Uint8Array();

/**
 * The aggregator's side of a masked round. It sees keys, sealed shares and masked vectors; what it can add up are the updates
 * of those who survived, all of them together or none.
 */
export class MaskedCollection extends SumCollection<KeyName, Roster> {
  readonly #settings: MaskSettings;
  readonly #shares = new Map<string, Shares>();
  /** Signatures of the uploads. */
  readonly #uploads = new Map<string, Uint8Array>();
  readonly #revealed = new Map<string, readonly (Uint8Array | null)[]>();
  #sum: Uint32Array | undefined;

  constructor(settings: MaskSettings, context: RoundContext) {
    super({ name: MASK, protocol: MASKED, steps: STEP }, settings, context);
    this.#settings = settings;
  }

  override noteOf(step: number, reply: ProtectedUpdate): Uint8Array {
    return step === STEP.upload ? this.#readUpload(reply).signature : NOTHING;
  }

  override recall(step: number, group: string, note: Uint8Array): void {
    invariant(step === STEP.upload, 'only uploads are recalled');
    this.#uploads.set(group, new Uint8Array(note));
  }

  protected override ownSteps(): ReadonlyMap<number, OwnStep> {
    return new Map([
      [STEP.shares, this.#sharesStep()],
      [STEP.upload, this.#uploadStep()],
      [STEP.unmask, this.#unmaskStep()],
    ]);
  }

  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    return rosterOf(this.context, adverts, this.#settings.assumed);
  }

  protected override open(): Aggregate {
    const survivors = this.repliedTo(STEP.upload);
    const sum = this.#sum ?? new Uint32Array(wordsOf(this.context.parameters, this.#settings.grid));
    const revealed = new Map(this.repliedTo(STEP.unmask).map((group) => [group, this.#revealed.get(group)!]));
    const sharers = this.repliedTo(STEP.shares);
    takeOffMasks(sum, { roster: this.roster, sharers, survivors, shares: this.#shares, revealed });
    const { round } = this.context;
    return asStage({ round, groups: [...survivors], ...sumOfWords(sum, this.#settings) });
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
      check: (reply, publicKey) => this.#checkUpload(reply, publicKey),
      take: (reply) => this.#addUpload(reply),
      show: (group) =>
        deliveryMessage.write({
          sharers: [...this.repliedTo(STEP.shares)],
          sealed: this.#sealedFor(group),
        }),
    };
  }

  #unmaskStep(): OwnStep {
    return {
      check: (reply) => void this.#readRevealed(reply),
      take: (reply) => void this.#revealed.set(reply.group, this.#readRevealed(reply)),
      show: (group) =>
        signaturesMessage.write({ signatures: this.signatures(), uploads: this.#uploadsFor(group) }),
    };
  }

  #readShares(reply: ProtectedUpdate): Shares {
    const shares = sharesMessage.read(reply.payload);
    if (shares === null) throw refused('UPDATE_MALFORMED', reply, 'its shares cannot be read');
    const neighbours = this.roster.neighbours.get(reply.group)?.length;
    if (hexOf(shares.roster) !== this.roster.digest || shares.sealed.length !== neighbours) {
      throw refused('ROUND_REFUSED', reply, 'its shares are for another set of groups');
    }
    return shares;
  }

  /** The packed words of an upload, behind the digest of the roster and the signature. */
  #readUpload(reply: ProtectedUpdate): { readonly signature: Uint8Array; readonly packed: Uint8Array } {
    const { payload } = reply;
    const { ringBits } = this.#settings.grid;
    const count = wordsOf(this.context.parameters, this.#settings.grid);
    const expected = HEAD_BYTES + packedBytes(count, ringBits);
    if (payload.byteLength !== expected) {
      throw refused('UPDATE_LENGTH', reply, `it has ${payload.byteLength} bytes instead of ${expected}`);
    }
    if (hexOf(payload.subarray(0, DIGEST_BYTES)) !== this.roster.digest) {
      throw refused('ROUND_REFUSED', reply, 'it is masked for another set of groups');
    }
    const packed = payload.subarray(HEAD_BYTES);
    if (!isPacked(packed, count, ringBits)) {
      throw refused('UPDATE_MALFORMED', reply, 'it has bits behind its last word');
    }
    return { signature: payload.slice(DIGEST_BYTES, HEAD_BYTES), packed };
  }

  #checkUpload(reply: ProtectedUpdate, publicKey: string): void {
    const { signature } = this.#readUpload(reply);
    const lists = { roster: this.roster.digest, sharers: this.repliedTo(STEP.shares) };
    const make = () => uploadStatement(this.context, lists);
    if (isSignedBy(publicKey, this.forAll('upload signed', make), hexOf(signature))) return;
    throw refused('SIGNATURE_INVALID', reply, 'it is masked for other groups than those who shared');
  }

  #addUpload(reply: ProtectedUpdate): void {
    const { signature, packed } = this.#readUpload(reply);
    this.#sum ??= new Uint32Array(wordsOf(this.context.parameters, this.#settings.grid));
    addPacked(this.#sum, packed, this.#settings.grid.ringBits);
    this.#uploads.set(reply.group, signature);
  }

  #sealedFor(group: string): (Uint8Array | null)[] {
    const neighbours = this.roster.neighbours.get(group) ?? [];
    const shared = new Set(this.repliedTo(STEP.shares));
    return neighbours.map((from) => {
      if (!shared.has(from)) return null;
      const place = this.roster.neighbours.get(from)!.indexOf(group);
      return this.#shares.get(from)!.sealed[place]!;
    });
  }

  /** Signatures of the uploads of a group's neighbours that shared; null for those that were lost. */
  #uploadsFor(group: string): (Uint8Array | null)[] {
    const shared = new Set(this.repliedTo(STEP.shares));
    const survived = new Set(this.repliedTo(STEP.upload));
    const neighbours = this.roster.neighbours.get(group)?.filter((other) => shared.has(other)) ?? [];
    return neighbours.map((other) => (survived.has(other) ? this.#uploads.get(other)! : null));
  }

  #readRevealed(reply: ProtectedUpdate): readonly (Uint8Array | null)[] {
    const message = unmaskMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its shares cannot be read');
    const shared = new Set(this.repliedTo(STEP.shares));
    const expected = this.roster.neighbours.get(reply.group)?.filter((other) => shared.has(other)).length;
    if (hexOf(message.roster) !== this.roster.digest) {
      throw refused('ROUND_REFUSED', reply, 'its shares are for another set of groups');
    }
    if (message.shares.length !== expected) {
      throw refused(
        'UPDATE_MALFORMED',
        reply,
        `it has ${message.shares.length} shares instead of ${expected}`,
      );
    }
    return message.shares;
  }
}
