import type { GroupSetup } from '../../src/privacy/protection.ts';
import { addCiphertext, emptySum, packSum } from '../../src/privacy/seal/ciphertext.ts';
import { answerMessage, SEALED, STEP } from '../../src/privacy/seal/messages.ts';
import { answerKey } from '../../src/privacy/seal/readers.ts';
import { rosterOf } from '../../src/privacy/seal/roster.ts';
import { readSealedSum, writeSealedSum } from '../../src/privacy/seal/sealed-sum.ts';
import type { SealSettings } from '../../src/privacy/seal/settings.ts';
import { addPlaintexts, signedOf } from '../../src/privacy/seal/slots.ts';
import { survivorsMessage } from '../../src/privacy/secure-sum/protocol.ts';
import { openSealed, seal } from '../../src/privacy/secure-sum/sealed-share.ts';
import { wordsOf } from '../../src/privacy/secure-sum/words.ts';

/** The key that a member seals its answer with, from what it was shown. */
export function answerKeyOf(setup: GroupSetup, { committee: rule }: SealSettings): Uint8Array {
  const { context, heard, group, readersKey } = setup;
  const { adverts } = SEALED.rosterMessage.read(heard(STEP.shares))!;
  const { digest, committee } = rosterOf(context, adverts, rule);
  const { survivors } = survivorsMessage.read(heard(STEP.consistency))!;
  return answerKey(readersKey!, { context, roster: digest, committee, survivors }, group);
}

/** A member's answer with another share in it, as properly sealed as the right one. */
export function withWrongShare(setup: GroupSetup, settings: SealSettings, answer: Uint8Array): Uint8Array {
  const key = answerKeyOf(setup, settings);
  const { roster, sealed } = answerMessage.read(answer)!;
  const share = openSealed(key, sealed!)!;
  share[7]! ^= 1;
  return answerMessage.write({ roster, sealed: seal(key, share) });
}

/** A sealed sum to which whoever passed it on added words, by their places, without being able to open it; of one polynomial. */
export function withWordsAdded(
  sealed: Uint8Array,
  { settings, parameters }: { readonly settings: SealSettings; readonly parameters: number },
  added: Readonly<Record<number, number>>,
): Uint8Array {
  const { plan } = settings;
  const content = readSealedSum(sealed, settings, parameters)!;
  const words = new Uint32Array(wordsOf(parameters, settings.grid));
  for (const [place, number] of Object.entries(added)) words[Number(place)] = number;
  const sum = emptySum(plan, words.length);
  addCiphertext(sum, content.sum, plan);
  addPlaintexts(sum, signedOf(words), 0, plan);
  return writeSealedSum({ ...content, sum: packSum(sum, plan) });
}
