import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { randomStream } from '../../src/core/random.ts';
import { committeeOf, planCommittee } from '../../src/privacy/seal/committee.ts';
import { Heard } from '../../src/privacy/seal/heard.ts';
import { type Advert, SEALED, STEP } from '../../src/privacy/seal/messages.ts';
import type { Roster } from '../../src/privacy/seal/roster.ts';
import { sealOptions } from '../../src/privacy/seal/settings.ts';
import { ASSUMED } from '../../src/privacy/secure-sum/assumptions.ts';
import { permutationOf } from '../../src/privacy/secure-sum/beacon.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { codeOf, namesOf } from '../support/attacks.ts';
import { SealedCast, type SealedHeardClass, saysNothing } from '../support/sealed-attacks.ts';

/** The aggregator says who is in the committee, or how many open a sum; some of the groups are its own. */

const GROUPS = namesOf(10);
const VICTIM = 'g04';
const CORRUPT = ['g07', 'g08', 'g09'];

/** A group that takes the threshold from the aggregator, as in an implementation in wide use. */
class ToldThreshold extends Heard {
  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    const { committee, ...roster } = super.rosterFrom(adverts);
    return { ...roster, committee: { ...committee, threshold: 1 } };
  }
}

/** A group that takes the committee from the aggregator. */
class ToldCommittee extends Heard {
  protected override rosterFrom(adverts: readonly Advert[]): Roster {
    return { ...super.rosterFrom(adverts), committee: { members: CORRUPT, threshold: 2 } };
  }
}

function attack(heard: SealedHeardClass, corrupt: readonly string[], groups = GROUPS) {
  const cast = new SealedCast(groups, { heard: () => heard });
  cast.collect();
  return { cast, loot: new Map(corrupt.map((name) => [name, cast.confided(name, VICTIM)])) };
}

test('a threshold of the aggregator: with one corrupt group it reads the update', () => {
  const { cast, loot } = attack(ToldThreshold, CORRUPT.slice(0, 1));
  expect(cast.readWith(VICTIM, loot)).toEqual(cast.clearWords(VICTIM));
});

test('a committee of the choice of the aggregator: with its groups it reads the update', () => {
  const { cast, loot } = attack(ToldCommittee, CORRUPT.slice(1));
  expect(cast.readWith(VICTIM, loot)).toEqual(cast.clearWords(VICTIM));
});

/**
 * NO PROTECTION: whoever writes the configuration of a run may name the committee. The rule of `mask`, that nobody says how many open
 * a secret, does not hold then, and what a group is told when it joins must say so.
 */
test('ours, with a committee that the configuration names, of the aggregator’s own groups: it reads every update', () => {
  const committee = { members: CORRUPT.slice(1), threshold: 2 };
  const cast = new SealedCast(GROUPS, { settings: { committee } });
  cast.collect();
  const loot = new Map(committee.members.map((name) => [name, cast.confided(name, VICTIM)]));
  expect(cast.readWith(VICTIM, loot)).toEqual(cast.clearWords(VICTIM));
});

describe('ours', () => {
  test('everybody computes both: three of ten groups, or five, tell the aggregator nothing', () => {
    for (const corrupt of [CORRUPT, ['g00', 'g01', ...CORRUPT]]) {
      const { cast, loot } = attack(Heard, corrupt);
      expect(cast.rosterOf(VICTIM).committee).toEqual({ members: GROUPS, threshold: 6 });
      expect(cast.readWith(VICTIM, loot)).toBeNull();
      expect(saysNothing(cast, VICTIM, loot)).toBe(true);
    }
  });

  test.each([
    ['threshold', 1],
    ['committee', CORRUPT],
    ['members', CORRUPT],
    ['plan', { members: 3, threshold: 1 }],
    ['beacon', '00'.repeat(32)],
    ['seed', new Uint8Array(32)],
  ])('a %s beside the keys is refused, not followed', (name, value) => {
    const cast = new SealedCast(GROUPS);
    const shown = encodeCbor({ adverts: cast.adverts(), [name]: value });
    expect(codeOf(() => cast.ask(VICTIM, STEP.shares, shown))).toBe('AGGREGATOR_UNTRUSTED');
  });

  test('other keys, or fewer, are another list, with other public elements: nobody can change the groups and keep them', () => {
    const cast = new SealedCast(GROUPS);
    const rosterFor = (adverts: readonly Advert[]) => {
      const other = new SealedCast(GROUPS);
      other.ask(VICTIM, STEP.shares, SEALED.rosterMessage.write({ adverts: [...adverts] }));
      return other.rosterOf(VICTIM);
    };
    const adverts = cast.adverts();
    const rosters = [adverts, adverts.slice(1), adverts.slice(0, -1)].map(rosterFor);
    expect(new Set(rosters.map(({ digest }) => digest)).size).toBe(3);
    expect(new Set(rosters.map(({ seed }) => Buffer.from(seed).toString('hex'))).size).toBe(3);
  });

  test('options that would let the aggregator of a run assume no corrupt groups, or rounds of two, are no options', () => {
    for (const options of [
      { corruptShare: 0 },
      { corruptShare: 0.05 },
      { dropoutShare: 0.5 },
      { leastGroups: 2 },
      { threshold: 1 },
    ]) {
      expect(sealOptions.safeParse(options).success).toBe(false);
    }
  });

  test('a group that is no member gets no boxes, and gives no share', () => {
    const groups = namesOf(24);
    const cast = new SealedCast(groups);
    cast.share();
    const { members } = cast.rosterOf('g00').committee;
    const [outside = ''] = groups.filter((name) => !members.includes(name));
    const others = cast.deliveryFor(members[0]!);
    expect(codeOf(() => cast.ask(outside, STEP.upload, others))).toBe('AGGREGATOR_UNTRUSTED');
  });
});

/** The committee follows from the list of keys: the aggregator's groups, which are told all other keys, draw theirs until it is theirs. */
describe('a committee drawn from forty groups, of which four are the aggregator’s', () => {
  const groups = namesOf(40);
  const corrupt = randomStream(3, 'corrupt').shuffled(groups).slice(0, 4);
  const beacon = (turn: number) => sha256('keys of the last who come', String(turn));
  const mostOf = (members: (turn: number) => readonly string[], turns: number) =>
    Math.max(
      ...Array.from(
        { length: turns },
        (_, turn) => members(turn).filter((name) => corrupt.includes(name)).length,
      ),
    );

  test('four members, opened by two: within a thousand tries the aggregator has them', () => {
    const four = (turn: number) =>
      [...permutationOf(groups.length, 'committee', beacon(turn))].slice(0, 4).map((at) => groups[at]!);
    expect(mostOf(four, 1000)).toBeGreaterThanOrEqual(2);
  });

  test('ours: all that are corrupt by assumption are fewer than the threshold, whatever is drawn', () => {
    const rule = { kind: 'drawn', ...ASSUMED } as const;
    const { threshold } = planCommittee(groups.length, ASSUMED)!;
    expect(mostOf((turn) => committeeOf(groups, beacon(turn), rule)!.members, 1000)).toBeLessThan(threshold);
    expect(corrupt.length).toBeLessThan(threshold);
  });

  test('ours, of a thousand: the best of many tries is far from it', () => {
    const many = namesOf(1000).sort();
    const { members, threshold } = planCommittee(many.length, ASSUMED)!;
    const theirs = new Set(randomStream(4, 'corrupt').shuffled(many).slice(0, 100));
    const rule = { kind: 'drawn', ...ASSUMED } as const;
    const counts = Array.from(
      { length: 1000 },
      (_, turn) => committeeOf(many, beacon(turn), rule)!.members.filter((name) => theirs.has(name)).length,
    );
    const mean = counts.reduce((sum, each) => sum + each, 0) / counts.length;
    const deviation = Math.sqrt(counts.reduce((sum, each) => sum + (each - mean) ** 2, 0) / counts.length);
    expect(mean).toBeCloseTo(members * ASSUMED.corruptShare, 0);
    expect(Math.max(...counts)).toBeLessThan(mean + 6 * deviation);
    expect(threshold).toBeGreaterThan(mean + 10 * deviation);
  });
});
