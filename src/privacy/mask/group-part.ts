import { bytesFrom } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { invariant } from '../../core/errors.ts';
import type { Update } from '../../wire/stages.ts';
import type { GroupPart } from '../protection.ts';
import { addMask } from '../secure-sum/expand.ts';
import { packWords } from '../secure-sum/packing.ts';
import { seal } from '../secure-sum/sealed-share.ts';
import { updateWords } from '../secure-sum/words.ts';
import type { Heard } from './heard.ts';
import { coefficientsOf, maskSecretOf, noiseKey, pairSign, selfMaskKey, selfSecretOf } from './keys.ts';
import { consistencyMessage, keysMessage, STEP, sharesMessage, unmaskMessage } from './messages.ts';
import { splitSecret } from './shamir.ts';

/**
 * A group's side of a masked round (Bonawitz et al., CCS 2017, section 4, with the graph of Bell et al., CCS 2020, section
 * 3). What it is shown is checked by `Heard` before anything is answered; a rule that is broken ends its part in the round.
 */
export class MaskedGroup implements GroupPart {
  readonly #heard: Heard;

  constructor(heard: Heard) {
    this.#heard = heard;
  }

  answer(step: number, update: Update | null): Uint8Array {
    switch (step) {
      case STEP.keys:
        return keysMessage.write(this.#heard.ownKeys());
      case STEP.shares:
        return this.#shares();
      case STEP.upload:
        invariant(update !== null, 'the step that carries the update is given it');
        return this.#upload(update);
      case STEP.consistency:
        return this.#consistency();
      default:
        invariant(step === STEP.unmask, 'a step of a masked round');
        return this.#unmask();
    }
  }

  /** Both secrets, split among the neighbours and sealed for each. */
  #shares(): Uint8Array {
    const roster = this.#heard.roster();
    const { secret, context, group } = this.#heard.setup;
    const neighbours = this.#heard.neighbours();
    const xs = neighbours.map((_, index) => index + 1);
    const split = (what: 'self' | 'mask', of: Uint8Array) => {
      const { threshold } = roster.plan;
      return splitSecret({ secret: of, threshold, xs, coefficients: coefficientsOf(secret, what, roster) });
    };
    const self = selfSecretOf(secret, roster);
    const selfShares = split('self', self);
    const maskShares = split('mask', maskSecretOf(secret, context));
    const sealed = neighbours.map((to, index) => {
      const both = Buffer.concat([selfShares[index]!, maskShares[index]!]);
      return seal(this.#heard.sealKey({ from: group, to }, to), both);
    });
    return sharesMessage.write({
      roster: bytesFrom(roster.digest),
      commitment: bytesFrom(sha256(self)),
      sealed,
    });
  }

  /** The update on the grid, under this group's own mask and one for each neighbour who shared. */
  #upload(update: Update): Uint8Array {
    const roster = this.#heard.roster();
    const { held } = this.#heard.delivery();
    const { settings, setup } = this.#heard;
    const { secret, group } = setup;
    const words = updateWords(update, settings, noiseKey(secret, roster));
    addMask(words, selfMaskKey(selfSecretOf(secret, roster), roster, group), 1);
    for (const other of held.keys()) {
      addMask(words, this.#heard.pairKey(other), pairSign(group, other));
    }
    const signature = bytesFrom(setup.identity.sign(this.#heard.uploadStatement()));
    return Buffer.concat([bytesFrom(roster.digest), signature, packWords(words, settings.grid.ringBits)]);
  }

  #consistency(): Uint8Array {
    const { identity } = this.#heard.setup;
    return consistencyMessage.write({ signature: bytesFrom(identity.sign(this.#heard.statement())) });
  }

  /** For each neighbour one share, never both: of the self mask of who is in the sum, of the mask key of who is not. */
  #unmask(): Uint8Array {
    this.#heard.checkSignatures();
    const survived = new Set(this.#heard.survivors());
    const { held } = this.#heard.delivery();
    const shares = [...held].map(([other, kept]) =>
      kept === null ? null : survived.has(other) ? kept.self : kept.mask,
    );
    return unmaskMessage.write({ roster: bytesFrom(this.#heard.roster().digest), shares });
  }
}
