import type { Aggregate } from '../wire/stages.ts';
import { leastWeightOf } from './grid.ts';
import {
  defineProtection,
  type GroupSetup,
  type HonestUpdates,
  type RoundContext,
  type RunShape,
  type SealedSums,
} from './protection.ts';
import { ciphertextBytes } from './seal/ciphertext.ts';
import { trusteesOf } from './seal/committee.ts';
import { SealingGroup } from './seal/group-part.ts';
import { Heard } from './seal/heard.ts';
import { prepareRing } from './seal/loaded-ring.ts';
import { MOST_MEMBERS, SEALED_BYTES, STEP } from './seal/messages.ts';
import { OpeningCollection } from './seal/opening-collection.ts';
import { PublishingCollection } from './seal/publishing-collection.ts';
import { openSealedSum } from './seal/read-sum.ts';
import { mostSealedSumBytes } from './seal/sealed-sum.ts';
import {
  type SealSettings,
  sealOptions,
  sealSettings,
  sealSingleOptions,
  sealSingleSettings,
} from './seal/settings.ts';
import { isPossibleSum } from './secure-sum/possible-sum.ts';
import { wordsOf } from './secure-sum/words.ts';

const SEAL = 'seal';
const SINGLE = 'seal-single';

const declared = {
  reveals: 'sum',
  steps: [
    { name: 'keys', from: 'participants', least: 'quorum' },
    { name: 'shares', from: 'survivors', least: 'both' },
    { name: 'upload', from: 'survivors', least: 'both', once: true },
    { name: 'consistency', from: 'survivors', least: 'two-thirds' },
    { name: 'open', from: 'survivors', least: 'majority', patient: true },
  ],
  updateStep: STEP.upload,
} as const;

/** The reader's side, and the aggregator's that publishes for it. */
function sealedSums(name: string, settings: SealSettings, parameters: number): SealedSums {
  return {
    mostBytes: mostSealedSumBytes(settings, parameters),
    collect: (context) => new PublishingCollection(name, settings, context),
    read: (sealed, context, readersKey) => openSealedSum(settings, sealed, context, readersKey),
  };
}

/** Both sides of a round. */
function sealed(name: string, settings: SealSettings, { parameters }: RunShape) {
  const ciphertext = ciphertextBytes(settings.plan, wordsOf(parameters, settings.grid));
  const shares = Math.min(settings.most, MOST_MEMBERS) * SEALED_BYTES;
  const { committee, holds } = settings;
  const published = holds === 'ciphertext' ? sealedSums(name, settings, parameters) : null;
  const trustees = trusteesOf(committee);
  // Of the trustees so many must be there that the sum can be opened.
  const opening = committee.kind === 'named' && committee.trustees ? committee.threshold : 0;
  return {
    groups: { least: settings.least + opening, most: settings.most },
    trustees,
    custody:
      committee.kind === 'named' ? { members: committee.members, threshold: committee.threshold } : null,
    leastWeight: leastWeightOf(settings.grid),
    replyBytes: Math.max(ciphertext, shares),
    guarantee: settings.noise,
    prepare: prepareRing,
    isPossible: (sum: Aggregate, honest: HonestUpdates) => isPossibleSum(settings, sum, honest, trustees),
    join: (setup: GroupSetup) => new SealingGroup(new Heard(settings, setup)),
    sealedSums: published,
    collect: (context: RoundContext) =>
      published?.collect(context) ?? new OpeningCollection(name, settings, context),
  };
}

/** Homomorphic encryption under keys of one round, which a committee opens only for the sum. */
export const seal = defineProtection({
  ...declared,
  name: SEAL,
  describe: 'homomorphic encryption: a committee of groups opens the sum of the updates, and nothing else',
  options: sealOptions,
  create: (options, shape) => sealed(SEAL, sealSettings(options, shape), shape),
});

/** The same with one group that keeps all keys: together with the aggregator it could read every update. */
export const sealSingle = defineProtection({
  ...declared,
  name: SINGLE,
  describe:
    'homomorphic encryption with one key holder, who could read every update together with the aggregator',
  options: sealSingleOptions,
  create: (options, shape) => sealed(SINGLE, sealSingleSettings(options, shape), shape),
});
