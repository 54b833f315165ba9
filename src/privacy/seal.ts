import { defineProtection } from './protection.ts';
import { ciphertextBytes } from './seal/ciphertext.ts';
import { SEAL, SealedCollection } from './seal/collection.ts';
import { SealingGroup } from './seal/group-part.ts';
import { Heard } from './seal/heard.ts';
import { prepareRing } from './seal/loaded-ring.ts';
import { MOST_MEMBERS, SEALED_BYTES, STEP } from './seal/messages.ts';
import { checkCommittee, sealOptions, sealSettings } from './seal/settings.ts';
import { wordsOf } from './secure-sum/words.ts';

/** Homomorphic encryption under keys of one round, which a committee opens only for the sum. */
export const seal = defineProtection({
  name: SEAL,
  describe: 'homomorphic encryption: a committee of groups opens the sum of the updates, and nothing else',
  reveals: 'sum',
  steps: [
    { name: 'keys', from: 'participants', least: 'quorum' },
    { name: 'shares', from: 'survivors', least: 'both' },
    { name: 'upload', from: 'survivors', least: 'both', once: true },
    { name: 'consistency', from: 'survivors', least: 'two-thirds' },
    { name: 'open', from: 'survivors', least: 'majority', patient: true },
  ],
  updateStep: STEP.upload,
  options: sealOptions,
  create: (options, shape) => {
    checkCommittee(options);
    const settings = sealSettings(options, shape);
    return {
      groups: { least: settings.least, most: settings.most },
      replyBytes: Math.max(
        ciphertextBytes(settings.plan, wordsOf(shape.parameters)),
        Math.min(settings.most, MOST_MEMBERS) * SEALED_BYTES,
      ),
      guarantee: settings.noise,
      prepare: prepareRing,
      join: (setup) => new SealingGroup(new Heard(settings, setup)),
      collect: (context) => new SealedCollection(settings, context),
    };
  },
});
