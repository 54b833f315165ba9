import type { GroupSetup } from '../../src/privacy/protection.ts';
import { answerMessage, SEALED, STEP } from '../../src/privacy/seal/messages.ts';
import { answerKey } from '../../src/privacy/seal/readers.ts';
import { rosterOf } from '../../src/privacy/seal/roster.ts';
import type { SealSettings } from '../../src/privacy/seal/settings.ts';
import { survivorsMessage } from '../../src/privacy/secure-sum/protocol.ts';
import { openSealed, seal } from '../../src/privacy/secure-sum/sealed-share.ts';

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
