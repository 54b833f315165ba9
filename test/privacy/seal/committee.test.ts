import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { planCommittee } from '../../../src/privacy/seal/committee.ts';
import { SEALED_BYTES } from '../../../src/privacy/seal/messages.ts';
import { cipherPlan, smallBound } from '../../../src/privacy/seal/plan.ts';
import { ASSUMED } from '../../../src/privacy/secure-sum/assumptions.ts';
import { ROOT } from '../../support/cli.ts';

/** C(n, k), exactly. */
function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let result = 1n;
  for (let i = 0; i < k; i++) result = (result * BigInt(n - i)) / BigInt(i + 1);
  return result;
}

/** P[from <= x <= to of the drawn are marked], drawing without replacement. */
function chance(groups: number, marked: number, drawn: number, from: number, to: number): number {
  let ways = 0n;
  for (let x = from; x <= to; x++) ways += choose(marked, x) * choose(groups - marked, drawn - x);
  return Number((ways * 2n ** 200n) / choose(groups, drawn)) / 2 ** 200;
}

describe('a committee', () => {
  test.each([3, 5, 20, 50])('of up to 50 groups is all of them, and more than half open: %d', (groups) => {
    expect(planCommittee(groups, ASSUMED)).toEqual({
      members: groups,
      threshold: Math.floor(groups / 2) + 1,
    });
  });

  test.each([60, 100, 128, 200, 256])('of %d groups keeps its bounds, computed exactly', (groups) => {
    const { members, threshold } = planCommittee(groups, ASSUMED)!;
    const corrupt = Math.ceil(groups / 10);
    const there = groups - Math.floor(groups / 3);
    expect(chance(groups, corrupt, members, threshold, members)).toBeLessThanOrEqual(2 ** -80);
    expect(chance(groups, there, members, 0, threshold - 1)).toBeLessThanOrEqual(2 ** -30);
    expect(3 * threshold).toBeGreaterThanOrEqual(members);
  });
});

test('the documents have the figures of the code', () => {
  const threats = readFileSync(join(ROOT, 'docs/threat-model.md'), 'utf8').replaceAll('\n', ' ');
  const decision = readFileSync(join(ROOT, 'docs/adr/0010-seal.md'), 'utf8').replaceAll('\n', ' ');
  const { members, threshold } = planCommittee(100, ASSUMED)!;
  expect(threats).toContain(`of 100 groups, ${threshold} of the ${members} that were drawn`);
  const { floodBits } = cipherPlan({ ringBits: 23, mostGroups: 128 })!;
  // Uniform in 2^(F+1) values, moved by as much as the bound.
  const hidden = floodBits + 1 - Math.log2(smallBound(128));
  expect(threats).toContain(`up to 2^-${Math.floor(hidden)} for a coefficient (128 groups, 16 bits`);
  const keptBytes = (groups: number) => groups * (planCommittee(groups, ASSUMED)!.members - 1) * SEALED_BYTES;
  expect(decision).toContain(`${Math.round(keptBytes(50) / 1e7) * 10} MB for 50 groups`);
  expect(decision).toContain(`${Math.round(keptBytes(256) / 1e9)} GB for 256`);
});
