import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { Heard } from '../../src/privacy/mask/heard.ts';
import { selfMaskKey } from '../../src/privacy/mask/keys.ts';
import { STEP } from '../../src/privacy/mask/messages.ts';
import type { Roster } from '../../src/privacy/mask/roster.ts';
import { joinSecret } from '../../src/privacy/mask/shamir.ts';
import { addMask } from '../../src/privacy/secure-sum/expand.ts';
import { Cast, codeOf, namesOf, placed, valuesLeft } from '../support/attacks.ts';

/**
 * The aggregator tells a few groups that most of their neighbours did not share. They then add no masks with those, and their
 * uploads hide among each other alone: opened with the rest, the sum of these few comes to light. No group is corrupt.
 */

const GROUPS = namesOf(51);

/** No check that those whose self masks are opened masked for the same groups. */
class NoUploads extends Heard {
  protected override checkUploads(): void {}
}

/** Few groups, each of which has a threshold of neighbours among them, and a quorum without those outside. */
function fewOf(roster: Roster, seed: number): string[] {
  const { groups, neighbours, plan, quorum } = roster;
  const least = Math.max(plan.threshold, plan.degree - (groups.length - quorum));
  const few = new Set(groups);
  for (const first of randomStream(seed, 'few').shuffled(groups)) {
    const before = [...few];
    const leaving = [first];
    for (const name of leaving) {
      if (!few.delete(name)) continue;
      for (const other of neighbours.get(name)!) {
        const left = neighbours.get(other)!.filter((near) => few.has(near)).length;
        if (few.has(other) && left < least) leaving.push(other);
      }
    }
    if (few.size === 0) for (const name of before) few.add(name);
  }
  return [...few].sort();
}

/** So few that all others are a quorum; the search begins where one was found for the keys of this test. */
function fewest(roster: Roster): string[] {
  for (let seed = 545; ; seed++) {
    const few = fewOf(roster, seed);
    if (roster.groups.length - few.length >= roster.quorum) return few;
  }
}

function attack(heard: typeof Heard) {
  const cast = new Cast(GROUPS, { heard: () => heard });
  cast.share();
  const roster = cast.rosterOf(GROUPS[0]!);
  const few = fewest(roster);
  const rest = GROUPS.filter((name) => !few.includes(name));
  for (const name of few) {
    // All but the neighbours outside are said to have shared: more than two thirds of everybody.
    const gone = roster.neighbours.get(name)!.filter((other) => !few.includes(other));
    const sharers = GROUPS.filter((other) => !gone.includes(other));
    expect(sharers.length).toBeGreaterThanOrEqual(roster.quorum);
    cast.uploads.set(name, cast.ask(name, STEP.upload, cast.deliveryFor(name, sharers)));
  }
  for (const name of rest) cast.uploads.set(name, cast.ask(name, STEP.upload, cast.deliveryFor(name)));
  const signatures = rest.map((name) => cast.sign(name, GROUPS));
  expect(signatures.length).toBeGreaterThanOrEqual(roster.quorum);
  const codes = new Set<unknown>();
  const loot = new Map(few.map((name) => [name, new Map<string, Uint8Array>()]));
  for (const name of rest) {
    const code = codeOf(() => {
      const revealed = cast.reveal(name, signatures);
      for (const victim of few) if (revealed.has(victim)) loot.get(victim)!.set(name, revealed.get(victim)!);
    });
    const near = roster.neighbours.get(name)!.some((other) => few.includes(other));
    if (near) codes.add(code);
  }
  return { cast, roster, few, loot, codes };
}

/** Sum of some groups' words in the ring. */
function sumOf(cast: Cast, words: readonly Uint32Array[]): Uint32Array {
  const sum = new Uint32Array(words[0]!.length);
  for (const each of words) for (let i = 0; i < sum.length; i++) sum[i]! += each[i]!;
  return cast.ring(sum);
}

test('against groups that do not ask for whom the others masked, the sum of less than a third of all groups comes to light', () => {
  const { cast, roster, few, loot } = attack(NoUploads);
  const opened = few.map((name) => {
    const words = cast.masked(cast.uploads.get(name)!);
    const self = joinSecret(placed(roster, name, loot.get(name)!), roster.plan.threshold);
    addMask(words, selfMaskKey(self, roster, name), -1);
    return words;
  });
  expect(3 * few.length).toBeLessThan(GROUPS.length);
  expect(sumOf(cast, opened)).toEqual(
    sumOf(
      cast,
      few.map((name) => cast.clearWords(name)),
    ),
  );
});

describe('ours', () => {
  test('nobody next to them gives a share away, and of their self masks nothing is known', () => {
    const { roster, few, loot, codes } = attack(Heard);
    expect([...codes]).toEqual(['AGGREGATOR_UNTRUSTED']);
    for (const name of few) expect(valuesLeft(roster, name, loot.get(name)!)).toBe(256);
  });
});
