import type { CollectionStep } from '../../src/wire/step.ts';

/** Rounds of one, two and five steps, as a sum in clear, threshold decryption and masking have them. */
export const STEPS: Readonly<Record<1 | 2 | 5, readonly CollectionStep[]>> = {
  1: [{ name: 'upload', from: 'participants' }],
  2: [
    { name: 'upload', from: 'participants' },
    { name: 'shares', from: 'participants' },
  ],
  5: [
    { name: 'keys', from: 'participants' },
    { name: 'shares', from: 'survivors' },
    { name: 'upload', from: 'survivors' },
    { name: 'consistency', from: 'survivors' },
    { name: 'unmask', from: 'survivors' },
  ],
};
