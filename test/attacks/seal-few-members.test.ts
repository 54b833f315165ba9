import { describe, expect, test } from 'vitest';
import { Heard } from '../../src/privacy/seal/heard.ts';
import type { Advert } from '../../src/privacy/seal/messages.ts';
import type { Roster } from '../../src/privacy/seal/roster.ts';
import { namesOf } from '../support/attacks.ts';
import {
  completedTo,
  isSameElement,
  joined,
  keyThatReads,
  SealedCast,
  type SealedHeardClass,
  saysNothing,
} from '../support/sealed-attacks.ts';

/** The aggregator and as many members as it can get pool the shares that they keep of one group's key, before any sum is opened. */

const GROUPS = namesOf(7);
const [VICTIM = '', ...OTHERS] = GROUPS;

/** Shares that fewer members open than ours ask for. */
class LowThreshold extends Heard {
  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    const { committee, ...roster } = super.rosterFrom(adverts);
    return { ...roster, committee: { ...committee, threshold: committee.threshold - 1 } };
  }
}

function attack(heard: SealedHeardClass, members: number) {
  const cast = new SealedCast(GROUPS, { heard: () => heard });
  cast.collect();
  const loot = new Map(OTHERS.slice(0, members).map((name) => [name, cast.confided(name, VICTIM)]));
  return { cast, loot };
}

test('where three shares are enough, three of seven groups and the aggregator read the update', () => {
  const { cast, loot } = attack(LowThreshold, 3);
  expect(cast.readWith(VICTIM, loot)).toEqual(cast.clearWords(VICTIM));
});

describe('ours', () => {
  test('as many as the threshold read it: the measure can tell', () => {
    const { cast, loot } = attack(Heard, 4);
    expect(cast.rosterOf(VICTIM).committee.threshold).toBe(4);
    expect(cast.readWith(VICTIM, loot)).toEqual(cast.clearWords(VICTIM));
    expect(saysNothing(cast, VICTIM, loot)).toBe(false);
  });

  test.each([0, 1, 2, 3])(
    '%d shares are of every key: with others beside them, the same upload says the update of any group',
    (members) => {
      const { cast, loot } = attack(Heard, members);
      expect(cast.readWith(VICTIM, loot)).toBeNull();
      expect(saysNothing(cast, VICTIM, loot)).toBe(true);
    },
  );

  test('the true key is one of those that three shares leave, and no more likely than the next', () => {
    const { cast, loot } = attack(Heard, 3);
    const roster = cast.rosterOf(VICTIM);
    const other = keyThatReads(cast, VICTIM, cast.clearWords(OTHERS[5]!));
    for (const key of [cast.keyOf(VICTIM), other]) {
      const shares = completedTo(roster, loot, key)!;
      expect(isSameElement(joined(roster, shares)!, key)).toBe(true);
    }
  });
});
