import { describe, expect, test } from 'vitest';
import { Heard } from '../../src/privacy/mask/heard.ts';
import { type Advert, rosterMessage, STEP } from '../../src/privacy/mask/messages.ts';
import type { Roster } from '../../src/privacy/mask/roster.ts';
import { maskOptions } from '../../src/privacy/mask/settings.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import {
  Cast,
  codeOf,
  confidedBy,
  type HeardClass,
  namesOf,
  readWith,
  valuesLeft,
} from '../support/attacks.ts';

/** The aggregator says how many shares open a secret, or who keeps them; some of the groups are its own. */

const GROUPS = namesOf(10);
const VICTIM = 'g04';
const CORRUPT = ['g07', 'g08', 'g09'];

/** A group that takes the threshold from the aggregator, as in an implementation in wide use. */
class ToldThreshold extends Heard {
  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    const roster = super.rosterFrom(adverts);
    return { ...roster, plan: { ...roster.plan, threshold: 1 } };
  }
}

/** A group that takes its neighbours from the aggregator: the victim's are the corrupt ones, all others have each other. */
class ToldNeighbours extends Heard {
  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    const roster = super.rosterFrom(adverts);
    const circles = [
      [VICTIM, ...CORRUPT],
      GROUPS.filter((name) => name !== VICTIM && !CORRUPT.includes(name)),
    ];
    const neighbours = new Map(
      circles.flatMap((circle) =>
        circle.map((name) => [name, circle.filter((other) => other !== name)] as const),
      ),
    );
    return { ...roster, neighbours, plan: { ...roster.plan, degree: 3, threshold: 3 } };
  }
}

function attack(heard: HeardClass, corrupt: readonly string[]) {
  const cast = new Cast(GROUPS, { heard: () => heard });
  cast.collect();
  const keepers = corrupt.filter((name) => cast.member(name).heard.delivery().held.has(VICTIM));
  return { cast, ...confidedBy(cast, keepers, VICTIM) };
}

test('a threshold of the aggregator: with one corrupt group it reads the update', () => {
  const { cast, self, mask } = attack(ToldThreshold, CORRUPT.slice(0, 1));
  expect(readWith(cast, VICTIM, self, mask)).toEqual(cast.clearWords(VICTIM));
});

test('neighbours of the choice of the aggregator: with three corrupt groups it reads the update', () => {
  const { cast, self, mask } = attack(ToldNeighbours, CORRUPT);
  expect(readWith(cast, VICTIM, self, mask)).toEqual(cast.clearWords(VICTIM));
});

describe('ours', () => {
  test('shares of the same corrupt groups, and of one less than the threshold, say nothing', () => {
    for (const corrupt of [CORRUPT, GROUPS.slice(0, 4)]) {
      const { cast, self, mask } = attack(Heard, corrupt);
      const roster = cast.rosterOf(VICTIM);
      expect(roster.plan).toMatchObject({ degree: 9, threshold: 5 });
      expect([valuesLeft(roster, VICTIM, self), valuesLeft(roster, VICTIM, mask)]).toEqual([256, 256]);
      expect(readWith(cast, VICTIM, self, mask)).toBeNull();
    }
    // As many as the threshold would do: the measure can tell.
    const { cast, self } = attack(Heard, ['g00', 'g01', ...CORRUPT]);
    expect(valuesLeft(cast.rosterOf(VICTIM), VICTIM, self)).toBe(1);
  });

  test.each([
    ['threshold', 1],
    ['degree', 1],
    ['neighbours', CORRUPT],
    ['plan', { degree: 3, threshold: 1 }],
    ['beacon', '00'.repeat(32)],
  ])('a %s beside the keys is refused, not followed', (name, value) => {
    const cast = new Cast(GROUPS);
    const shown = encodeCbor({ adverts: cast.adverts(), [name]: value });
    expect(codeOf(() => cast.ask(VICTIM, STEP.shares, shown))).toBe('AGGREGATOR_UNTRUSTED');
  });

  test('other keys, or fewer, make another graph: nobody can keep the graph and change the groups', () => {
    const cast = new Cast(GROUPS);
    const digest = (adverts: readonly Advert[]) => {
      const other = new Cast(GROUPS);
      other.ask(VICTIM, STEP.shares, rosterMessage.write({ adverts: [...adverts] }));
      return other.rosterOf(VICTIM).digest;
    };
    const adverts = cast.adverts();
    expect(new Set([digest(adverts), digest(adverts.slice(1)), digest(adverts.slice(0, -1))]).size).toBe(3);
  });

  test('options that would let the aggregator of a run assume no corrupt groups, or rounds of two, are no options', () => {
    for (const options of [
      { corruptShare: 0 },
      { corruptShare: 0.05 },
      { leastGroups: 2 },
      { threshold: 1 },
    ]) {
      expect(maskOptions.safeParse(options).success).toBe(false);
    }
  });
});
