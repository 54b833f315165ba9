import { expect } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import type { SumSettings } from '../../src/privacy/secure-sum/settings.ts';
import { sumOfWords, updateWords, wordsOf } from '../../src/privacy/secure-sum/words.ts';
import type { Aggregate, Update } from '../../src/wire/stages.ts';
import { updateOf } from './protected-round.ts';

/** Random updates of many groups: values beyond the clip among them, and scores of some. */
export function updatesOf(count: number, parameters: number): Update[] {
  const random = randomStream(count, 'updates');
  return Array.from({ length: count }, (_, index) => {
    const delta = Float32Array.from({ length: parameters }, () => random.normal());
    const score = index % 3 === 0 ? null : random.uniform();
    return updateOf(`group-${String(index).padStart(4, '0')}`, 1 + random.below(100), delta, { score });
  });
}

/** The sum that everybody would compute who saw the quantised updates in clear. */
export function plainSumOf(updates: readonly Update[], settings: SumSettings) {
  const sum = new Uint32Array(wordsOf(updates[0]!.delta.length, settings.grid));
  for (const update of updates) {
    const words = updateWords(update, settings, new Uint8Array(32));
    for (let i = 0; i < sum.length; i++) sum[i]! += words[i]!;
  }
  return sumOfWords(sum, settings);
}

/** Names of a share of the groups, picked by chance. */
export function chosenFrom(updates: readonly Update[], share: number, seed: number): string[] {
  const groups = updates.map(({ group }) => group);
  return randomStream(seed, 'silent')
    .shuffled(groups)
    .slice(0, Math.floor(share * groups.length));
}

/** The sum is that of the quantised updates, bit for bit. */
export function expectExact(aggregate: Aggregate, summed: readonly Update[], settings: SumSettings): void {
  const expected = plainSumOf(summed, settings);
  expect(aggregate.groups).toEqual(summed.map(({ group }) => group));
  expect(aggregate.totalWeight).toBe(summed.reduce((sum, { weight }) => sum + weight, 0));
  expect(aggregate.scores).toEqual(expected.scores);
  expect(Buffer.from(aggregate.weightedSum.buffer).equals(Buffer.from(expected.weightedSum.buffer))).toBe(
    true,
  );
}
