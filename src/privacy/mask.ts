import { leastWeightOf } from './grid.ts';
import { MASK, MaskedCollection } from './mask/collection.ts';
import { MaskedGroup } from './mask/group-part.ts';
import { Heard } from './mask/heard.ts';
import { STEP } from './mask/messages.ts';
import { maskOptions, maskSettings } from './mask/settings.ts';
import { defineProtection } from './protection.ts';
import { packedBytes } from './secure-sum/packing.ts';
import { isPossibleSum } from './secure-sum/possible-sum.ts';
import { wordsOf } from './secure-sum/words.ts';

/** Secure aggregation by masking: the aggregator learns the sum of the updates and nothing else. */
export const mask = defineProtection({
  name: MASK,
  describe: 'secure aggregation: the aggregator sees nothing but the sum of the updates',
  reveals: 'sum',
  steps: [
    { name: 'keys', from: 'participants', least: 'quorum' },
    { name: 'shares', from: 'survivors', least: 'both' },
    { name: 'upload', from: 'survivors', least: 'both', once: true },
    { name: 'consistency', from: 'survivors', least: 'two-thirds' },
    { name: 'unmask', from: 'survivors', least: 'two-thirds', patient: true },
  ],
  updateStep: STEP.upload,
  options: maskOptions,
  create: (options, shape) => {
    const settings = maskSettings(options, shape);
    return {
      groups: { least: settings.least, most: settings.most },
      leastWeight: leastWeightOf(settings.grid),
      replyBytes: packedBytes(wordsOf(shape.parameters, settings.grid), settings.grid.ringBits),
      guarantee: settings.noise,
      isPossible: (sum, honest) => isPossibleSum(settings, sum, honest),
      join: (setup) => new MaskedGroup(new Heard(settings, setup)),
      collect: (context) => new MaskedCollection(settings, context),
    };
  },
});
