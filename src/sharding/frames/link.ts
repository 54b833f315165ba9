import { hkdfSync } from 'node:crypto';
import { PluralError } from '../../core/errors.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';

const KEY_BYTES = 32;
/** Keeps these keys apart from those of masks. */
const SALT = 'pluralllm-shard-v1';

function derived(secret: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, SALT, info, KEY_BYTES));
}

/** One end of a link, as everybody may know it. */
export interface Seat {
  /** Ed25519 public key: who it is. */
  readonly id: string;
  /** X25519 public key of this run, 64 hex digits. */
  readonly agreementKey: string;
}

/**
 * What two neighbours share in an epoch. From one epoch to the next the secret goes through a one-way function and the old one is
 * forgotten: who gets hold of it later can neither open the frames nor undo the morphs of the epochs before.
 */
export class Link {
  readonly epoch: number;
  readonly #chain: Uint8Array;

  private constructor(epoch: number, chain: Uint8Array) {
    this.epoch = epoch;
    this.#chain = chain;
  }

  /** The link of epoch 0, the same at both ends. Errors: FRAME_REFUSED where the other's key is none. */
  static between(run: string, own: { readonly id: string; readonly keys: KeyPair }, other: Seat): Link {
    const agreed = own.keys.agree(other.agreementKey);
    if (agreed === null) {
      throw new PluralError('FRAME_REFUSED', `no key can be agreed with ${other.id}`, {
        hint: 'It published something else than a key: it has to join again.',
      });
    }
    const ends = [`${own.id} ${own.keys.publicKey}`, `${other.id} ${other.agreementKey}`].sort();
    return new Link(0, derived(agreed, ['link', run, ...ends].join('\n')));
  }

  /** A link again from what `secret` gave. */
  static from(epoch: number, secret: Uint8Array): Link {
    return new Link(epoch, Uint8Array.from(secret));
  }

  /** What has to be kept to go on with it, 32 bytes. */
  secret(): Uint8Array {
    return this.#chain.slice();
  }

  /** The link of the next epoch. */
  next(): Link {
    return new Link(this.epoch + 1, derived(this.#chain, 'next epoch'));
  }

  /** The key of 32 bytes that both ends turn their boundary by when this epoch begins. */
  morphKey(): Uint8Array {
    return derived(this.#chain, 'morph');
  }

  /** The key of 32 bytes that seals frames from one end. */
  sealKey(from: string): Uint8Array {
    return derived(this.#chain, `frames from\n${from}`);
  }

  /** Overwrites the secret: nothing can be derived from this object any more. */
  forget(): void {
    this.#chain.fill(0);
  }
}
