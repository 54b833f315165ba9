import { mask } from '../../src/privacy/mask.ts';
import { type CollectionStep, UPLOAD_ONLY } from '../../src/wire/step.ts';

/** Rounds of one, two and five steps, as a sum in clear, threshold decryption and masking have them. */
export const STEPS: Readonly<Record<1 | 2 | 5, readonly CollectionStep[]>> = {
  1: UPLOAD_ONLY,
  2: [
    { name: 'upload', from: 'participants', least: 'quorum' },
    { name: 'shares', from: 'participants', least: 'quorum', once: true },
  ],
  5: mask.steps,
};

/** Whether a round that fails in a step is skipped, not opened again. */
export function skipsFrom(steps: readonly CollectionStep[], step: number): boolean {
  const once = steps.findIndex((candidate) => candidate.once === true);
  return once >= 0 && once <= step;
}

/** Fewest that make a step, in words of its own: `first` replied to the first step. */
export function fewestOf({ least }: CollectionStep, quorum: number, first: number): number {
  let moreThanTwoThirds = 1;
  while (3 * moreThanTwoThirds <= 2 * first) moreThanTwoThirds++;
  switch (least) {
    case 'quorum':
      return quorum;
    case 'two-thirds':
      return moreThanTwoThirds;
    case 'both':
      return moreThanTwoThirds > quorum ? moreThanTwoThirds : quorum;
    case 'majority':
      return (first - (first % 2)) / 2 + 1;
    case 'any':
      return 1;
  }
}
