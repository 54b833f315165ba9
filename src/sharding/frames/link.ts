import { hkdfSync } from 'node:crypto';
import { digestOf } from '../../core/digest.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import type { Seat } from './seats.ts';

const KEY_BYTES = 32;
/** Keeps these keys apart from those of masks. */
const SALT = 'pluralllm-shard-v1';

function derived(secret: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, SALT, info, KEY_BYTES));
}

/**
 * A secret of an epoch, of two neighbours or of one alone. From one epoch to the next it goes through a one-way function and the old one is
 * overwritten: who gets hold of it later can neither open the frames nor undo the morphs of the epochs before.
 */
export class Link {
  readonly epoch: number;
  readonly #chain: Uint8Array;
  #forgotten = false;

  private constructor(epoch: number, chain: Uint8Array) {
    this.epoch = epoch;
    this.#chain = chain;
  }

  /**
   * The link of epoch 0, or of a later one in which it is agreed on, the same at both ends. `bound` is what both must see alike for it to be the same: the run, its seats, its settings.
   * Errors: FRAME_REFUSED where the other's key is none.
   */
  static between(
    bound: object,
    own: { readonly id: string; readonly keys: KeyPair },
    other: Pick<Seat, 'id' | 'agreementKey'>,
    epoch = 0,
  ): Link {
    const agreed = own.keys.agree(other.agreementKey);
    if (agreed === null) {
      throw new PluralError('FRAME_REFUSED', `no key can be agreed with ${other.id}`, {
        hint: 'It published something else than a key: it has to join again.',
      });
    }
    const ends = [`${own.id} ${own.keys.publicKey}`, `${other.id} ${other.agreementKey}`].sort();
    const chain = derived(agreed, ['link', digestOf(bound), ...ends].join('\n'));
    agreed.fill(0);
    return new Link(epoch, chain);
  }

  /** What is shared with nobody, in epoch 0: from a secret of which nothing else may be derived any more. */
  static alone(secret: Uint8Array): Link {
    return new Link(0, derived(secret, 'alone'));
  }

  /** A link again from what `secret` gave. */
  static from(epoch: number, secret: Uint8Array): Link {
    return new Link(epoch, Uint8Array.from(secret));
  }

  /** What has to be kept to go on with it, 32 bytes. */
  secret(): Uint8Array {
    return this.#known.slice();
  }

  /** The link of the next epoch. */
  next(): Link {
    return new Link(this.epoch + 1, derived(this.#known, 'next epoch'));
  }

  /** The key of 32 bytes that a space is turned by when this epoch begins. */
  morphKey(): Uint8Array {
    return derived(this.#known, 'morph');
  }

  /** The key of 32 bytes that seals frames from one end. */
  sealKey(from: string): Uint8Array {
    return derived(this.#known, `frames from\n${from}`);
  }

  /** The key of 32 bytes that the probe of an epoch is drawn from. */
  probeKey(): Uint8Array {
    return derived(this.#known, 'probe');
  }

  /** Overwrites the secret. */
  forget(): void {
    this.#chain.fill(0);
    this.#forgotten = true;
  }

  get #known(): Uint8Array {
    invariant(!this.#forgotten, 'a link that was forgotten');
    return this.#chain;
  }
}
