import { bytesFrom } from '../../core/bytes.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import type { Update } from '../../wire/stages.ts';
import type { GroupPart } from '../protection.ts';
import { keyFor } from '../secure-sum/keys.ts';
import { consistencyMessage } from '../secure-sum/protocol.ts';
import { seal } from '../secure-sum/sealed-share.ts';
import { updateWords } from '../secure-sum/words.ts';
import { encrypt } from './ciphertext.ts';
import type { Heard } from './heard.ts';
import { loadedRing } from './loaded-ring.ts';
import { answerMessage, openMessage, SEALED, STEP, sharesMessage } from './messages.ts';
import { answerKey } from './readers.ts';
import { addInto, packElement, type RingElement } from './ring.ts';
import { uniformElement } from './sample.ts';
import { shareOfElement, splitElement } from './shares.ts';

/**
 * A group's side of a round under `seal`: it draws a key for this one round, deals shares of it to the committee, encrypts its
 * update under it, and, as a member, adds up the shares of the keys of those whose updates are in the sum. Nobody ever holds
 * the key of a sum before as many members as the threshold have answered; nobody but its owner holds a group's key at all.
 */
export class SealingGroup implements GroupPart {
  readonly #heard: Heard;

  constructor(heard: Heard) {
    this.#heard = heard;
  }

  answer(step: number, update: Update | null): Uint8Array {
    switch (step) {
      case STEP.keys:
        return SEALED.keysMessage.write(this.#heard.ownKeys());
      case STEP.shares:
        return this.#shares();
      case STEP.upload:
        invariant(update !== null, 'the step that carries the update is given it');
        return this.#upload(update);
      case STEP.consistency: {
        const { identity } = this.#heard.setup;
        return consistencyMessage.write({ signature: bytesFrom(identity.sign(this.#heard.statement())) });
      }
      default:
        invariant(step === STEP.open, 'a step of a round under seal');
        return this.#open();
    }
  }

  /** A key of 32 bytes for one purpose in this attempt. */
  #keyFor(purpose: string): Uint8Array {
    return keyFor(this.#heard.setup.secret, purpose, { digest: this.#heard.roster().digest });
  }

  /** The key that this group's update is encrypted under, in NTT form: it serves for this attempt alone. */
  #secret(): RingElement {
    return uniformElement(this.#keyFor('secret element'));
  }

  /** What the key is shared with. */
  #sharing() {
    const { threshold } = this.#heard.roster().committee;
    return { secret: this.#secret(), threshold, key: this.#keyFor('share coefficients') };
  }

  /** A share of the key for each member, sealed but for the group's own. */
  #shares(): Uint8Array {
    const { group } = this.#heard.setup;
    const { members } = this.#heard.roster().committee;
    const shares = splitElement({ ...this.#sharing(), xs: members.map((_, index) => index + 1) });
    const sealed = members.flatMap((to, index) => {
      if (to === group) return [];
      return [seal(this.#heard.sealKey({ from: group, to }, to), packElement(shares[index]!))];
    });
    return sharesMessage.write({ roster: bytesFrom(this.#heard.roster().digest), sealed });
  }

  #upload(update: Update): Uint8Array {
    const { digest, seed } = this.#heard.roster();
    // Refuses a list of sharers that is too short before anything of the update leaves.
    this.#heard.delivery();
    const { settings, setup } = this.#heard;
    checkLength(update, setup.context.parameters);
    const words = updateWords(update, settings, this.#keyFor('privacy noise'));
    const noiseKey = this.#keyFor('encryption noise');
    const secret = this.#secret();
    const ciphertext = encrypt(loadedRing(), settings.plan, { words, secret, seed, noiseKey });
    return Buffer.concat([bytesFrom(digest), ciphertext]);
  }

  /** The share of the sum of the survivors' keys, for the aggregator or for readers alone: it says nothing about any one of them. */
  #open(): Uint8Array {
    this.#heard.checkSignatures();
    const sum = this.#heard.isMember() ? this.#shareOfSum() : null;
    const share = sum === null ? null : packElement(sum);
    const roster = bytesFrom(this.#heard.roster().digest);
    if (this.#heard.settings.holds === 'clear') return openMessage.write({ roster, share });
    return answerMessage.write({ roster, sealed: share === null ? null : this.#sealedForReaders(share) });
  }

  #sealedForReaders(share: Uint8Array): Uint8Array {
    const { context, group } = this.#heard.setup;
    const { digest, committee } = this.#heard.roster();
    const asked = { context, roster: digest, committee, survivors: this.#heard.survivors() };
    return seal(answerKey(this.#heard.readersKey(), asked, group), share);
  }

  #shareOfSum(): RingElement | null {
    const { group } = this.#heard.setup;
    const { members } = this.#heard.roster().committee;
    const sum = shareOfElement(this.#sharing(), members.indexOf(group) + 1);
    for (const other of this.#heard.survivors()) {
      if (other === group) continue;
      const share = this.#heard.shareFrom(other);
      if (share === null) return null;
      addInto(sum, share);
    }
    return sum;
  }
}

/** Ciphertexts hold whole polynomials: the aggregator cannot see that some numbers are missing. Errors: UPDATE_LENGTH. */
function checkLength({ group, round, delta }: Update, parameters: number): void {
  if (delta.length === parameters) return;
  throw new PluralError(
    'UPDATE_LENGTH',
    `update of group "${group}" in round ${round}: it has ${delta.length} numbers instead of ${parameters}`,
    { hint: 'The group should train again from the current model.' },
  );
}
