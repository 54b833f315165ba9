import { asStage } from '../../core/brand.ts';
import { hexOf } from '../../core/bytes.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import { isSignedBy } from '../../wire/identity.ts';
import type { Aggregate, ProtectedUpdate } from '../../wire/stages.ts';
import type { Collection, RoundContext } from '../protection.ts';
import {
  consistencyMessage,
  consistencyStatement,
  deliveryMessage,
  type Keys,
  keysMessage,
  rosterMessage,
  type Shares,
  STEP,
  sharesMessage,
  signaturesMessage,
  survivorsMessage,
  unmaskMessage,
  uploadStatement,
} from './messages.ts';
import { addPacked, isPacked, packedBytes } from './packing.ts';
import { areSigned, giveSecrets, type Roster, rosterOf } from './roster.ts';
import type { MaskSettings } from './settings.ts';
import { takeOffMasks } from './unmask.ts';
import { sumOfWords, wordsOf } from './words.ts';

export const MASK = 'mask';

type Refusal = 'ROUND_REFUSED' | 'UPDATE_MALFORMED' | 'UPDATE_LENGTH' | 'SIGNATURE_INVALID';

function refused(code: Refusal, { group, round }: ProtectedUpdate, reason: string): PluralError {
  return new PluralError(code, `message of group "${group}" in masked round ${round}: ${reason}`, {
    hint: 'The group should look up what is asked of it now.',
  });
}

const DIGEST_BYTES = 32;
/** Of an upload: the digest of the roster, and the signature. */
const HEAD_BYTES = DIGEST_BYTES + 64;
const NOTHING = new Uint8Array();

/**
 * The aggregator's side of a masked round. It sees keys, sealed shares and masked vectors; what it can add up are the updates
 * of those who survived, all of them together or none.
 */
export class MaskedCollection implements Collection {
  readonly #settings: MaskSettings;
  readonly #context: RoundContext;
  readonly #keys = new Map<string, Keys>();
  readonly #shares = new Map<string, Shares>();
  /** Signatures of the uploads. */
  readonly #uploads = new Map<string, Uint8Array>();
  #added = 0;
  #finished = false;
  readonly #signatures = new Map<string, Uint8Array>();
  readonly #revealed = new Map<string, readonly (Uint8Array | null)[]>();
  readonly #closed: (readonly string[])[] = [];
  /** Messages and statements that are the same for all groups, by step: a thousand groups ask for them. */
  readonly #common = new Map<string, Uint8Array>();
  #sum: Uint32Array | undefined;
  #roster: Roster | undefined;

  constructor(settings: MaskSettings, context: RoundContext) {
    this.#settings = settings;
    this.#context = context;
  }

  screen(step: number, reply: ProtectedUpdate, publicKey: string): number {
    this.#checkEnvelope(reply);
    switch (step) {
      case STEP.keys:
        this.#checkKeys(reply, publicKey);
        break;
      case STEP.shares:
        this.#readShares(reply);
        break;
      case STEP.upload:
        this.#checkUpload(reply, publicKey);
        break;
      case STEP.consistency:
        this.#checkSignature(reply, publicKey);
        break;
      default:
        this.#readRevealed(reply);
    }
    // As many as the ring has room for.
    return 1 / (this.#settings.most + 0.5);
  }

  add(step: number, reply: ProtectedUpdate): void {
    this.#checkEnvelope(reply);
    const { group } = reply;
    if (this.#repliesOf(step).has(group)) throw refused('ROUND_REFUSED', reply, 'the group replied already');
    switch (step) {
      case STEP.keys:
        this.#keys.set(group, this.#readKeys(reply));
        return;
      case STEP.shares:
        this.#shares.set(group, this.#readShares(reply));
        return;
      case STEP.upload:
        this.#addUpload(reply);
        return;
      case STEP.consistency:
        this.#signatures.set(group, this.#readSignature(reply));
        return;
      default:
        this.#revealed.set(group, this.#readRevealed(reply));
    }
  }

  noteOf(step: number, reply: ProtectedUpdate): Uint8Array {
    return step === STEP.upload ? this.#readUpload(reply).signature : NOTHING;
  }

  recall(step: number, group: string, note: Uint8Array): void {
    invariant(step === STEP.upload, 'only uploads are recalled');
    this.#uploads.set(group, new Uint8Array(note));
  }

  close(step: number, groups: readonly string[]): void {
    invariant(this.#closed.length === step, 'steps are closed in order');
    this.#closed.push(groups);
  }

  show(step: number, group: string): Uint8Array {
    switch (step) {
      case STEP.keys:
        return new Uint8Array();
      case STEP.shares:
        return this.#forAll(step, () => rosterMessage.write({ adverts: [...this.roster.adverts.values()] }));
      case STEP.upload:
        return deliveryMessage.write({
          sharers: [...this.#repliedTo(STEP.shares)],
          sealed: this.#sealedFor(group),
        });
      case STEP.consistency:
        return this.#forAll(step, () =>
          survivorsMessage.write({ survivors: [...this.#repliedTo(STEP.upload)] }),
        );
      default:
        return signaturesMessage.write({
          signatures: this.#repliedTo(STEP.consistency).map((signer) => ({
            group: signer,
            signature: this.#signatures.get(signer)!,
          })),
          uploads: this.#uploadsFor(group),
        });
    }
  }

  finish(): Aggregate {
    const survivors = this.#repliedTo(STEP.upload);
    const complete = this.#added === survivors.length && survivors.every((group) => this.#uploads.has(group));
    invariant(complete, 'the updates that were added are those of the survivors');
    invariant(!this.#finished, 'a masked sum is opened once');
    this.#finished = true;
    const sum = this.#sum ?? new Uint32Array(wordsOf(this.#context.parameters));
    const revealed = new Map(
      this.#repliedTo(STEP.unmask).map((group) => [group, this.#revealed.get(group)!]),
    );
    const sharers = this.#repliedTo(STEP.shares);
    takeOffMasks(sum, { roster: this.roster, sharers, survivors, shares: this.#shares, revealed });
    const { round } = this.#context;
    return asStage({ round, groups: [...survivors], ...sumOfWords(sum, this.#settings) });
  }

  /** The groups of the round with their keys, once the first step is closed. */
  get roster(): Roster {
    this.#roster ??= rosterOf(
      this.#context,
      this.#repliedTo(STEP.keys).map((group) => ({ group, ...this.#keys.get(group)! })),
      this.#settings.assumed,
    );
    return this.#roster;
  }

  #forAll(step: number, make: () => Uint8Array, what = 'shown'): Uint8Array {
    const known = this.#common.get(`${what} ${step}`) ?? make();
    this.#common.set(`${what} ${step}`, known);
    return known;
  }

  #repliedTo(step: number): readonly string[] {
    const groups = this.#closed[step];
    invariant(groups !== undefined, `step ${step} is closed`);
    return groups;
  }

  #repliesOf(step: number): { has(group: string): boolean } {
    const replies = [this.#keys, this.#shares, this.#uploads, this.#signatures, this.#revealed];
    return replies[step]!;
  }

  #checkEnvelope(reply: ProtectedUpdate): void {
    const { protection, round } = reply;
    if (protection !== MASK) throw refused('ROUND_REFUSED', reply, `its protection is "${protection}"`);
    if (round !== this.#context.round)
      throw refused('ROUND_REFUSED', reply, `the sum is of round ${this.#context.round}`);
  }

  #readKeys(reply: ProtectedUpdate): Keys {
    const keys = keysMessage.read(reply.payload);
    if (keys === null) throw refused('UPDATE_MALFORMED', reply, 'its keys cannot be read');
    return keys;
  }

  #checkKeys(reply: ProtectedUpdate, publicKey: string): void {
    const keys = this.#readKeys(reply);
    if (hexOf(keys.identity) !== publicKey) {
      throw refused('SIGNATURE_INVALID', reply, 'its keys are of another identity');
    }
    if (!areSigned(this.#context, reply.group, keys)) {
      throw refused('SIGNATURE_INVALID', reply, 'its keys are not signed by its identity');
    }
    if (!giveSecrets(keys)) throw refused('UPDATE_MALFORMED', reply, 'a key of it gives no secret');
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
    const count = wordsOf(this.#context.parameters);
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
    const lists = { roster: this.roster.digest, sharers: this.#repliedTo(STEP.shares) };
    const make = () => uploadStatement(this.#context, lists);
    if (isSignedBy(publicKey, this.#forAll(STEP.upload, make, 'signed'), hexOf(signature))) return;
    throw refused('SIGNATURE_INVALID', reply, 'it is masked for other groups than those who shared');
  }

  #addUpload(reply: ProtectedUpdate): void {
    const { signature, packed } = this.#readUpload(reply);
    this.#sum ??= new Uint32Array(wordsOf(this.#context.parameters));
    addPacked(this.#sum, packed, this.#settings.grid.ringBits);
    this.#uploads.set(reply.group, signature);
    this.#added++;
  }

  #sealedFor(group: string): (Uint8Array | null)[] {
    const neighbours = this.roster.neighbours.get(group) ?? [];
    const shared = new Set(this.#repliedTo(STEP.shares));
    return neighbours.map((from) => {
      if (!shared.has(from)) return null;
      const place = this.roster.neighbours.get(from)!.indexOf(group);
      return this.#shares.get(from)!.sealed[place]!;
    });
  }

  /** Signatures of the uploads of a group's neighbours that shared; null for those that were lost. */
  #uploadsFor(group: string): (Uint8Array | null)[] {
    const shared = new Set(this.#repliedTo(STEP.shares));
    const survived = new Set(this.#repliedTo(STEP.upload));
    const neighbours = this.roster.neighbours.get(group)?.filter((other) => shared.has(other)) ?? [];
    return neighbours.map((other) => (survived.has(other) ? this.#uploads.get(other)! : null));
  }

  #readSignature(reply: ProtectedUpdate): Uint8Array {
    const message = consistencyMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its signature cannot be read');
    return message.signature;
  }

  #checkSignature(reply: ProtectedUpdate, publicKey: string): void {
    const signature = this.#readSignature(reply);
    const [sharers, survivors] = [this.#repliedTo(STEP.shares), this.#repliedTo(STEP.upload)];
    const lists = { roster: this.roster.digest, sharers, survivors };
    const make = () => consistencyStatement(this.#context, lists);
    if (isSignedBy(publicKey, this.#forAll(STEP.consistency, make, 'signed'), hexOf(signature))) return;
    throw refused('SIGNATURE_INVALID', reply, 'it signs another list of survivors');
  }

  #readRevealed(reply: ProtectedUpdate): readonly (Uint8Array | null)[] {
    const message = unmaskMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its shares cannot be read');
    const shared = new Set(this.#repliedTo(STEP.shares));
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
