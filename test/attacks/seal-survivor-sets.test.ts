import { describe, expect, test } from 'vitest';
import { Heard } from '../../src/privacy/seal/heard.ts';
import { STEP } from '../../src/privacy/seal/messages.ts';
import type { RingElement } from '../../src/privacy/seal/ring.ts';
import { codeOf, namesOf, type Signature } from '../support/attacks.ts';
import { differenceOf, type Loot, SealedCast, saysNothing, wordsSum } from '../support/sealed-attacks.ts';

/**
 * The aggregator tells some members that the victim is in the sum, and others that it was lost: two sums of keys, which differ by
 * the victim's. Two of seven groups are its own, and tell it all shares that they keep.
 */

const GROUPS = namesOf(7);
const [VICTIM = '', ...OTHERS] = GROUPS;
const CORRUPT = OTHERS.slice(0, 2);
const TOLD_ALIVE = OTHERS.slice(2, 4);
const TOLD_DEAD = OTHERS.slice(4);
const WITHOUT = OTHERS;

/** No consistency round, as in an implementation in wide use. */
class NoConsistency extends Heard {
  override checkSignatures(): void {}
}

type Signed = Signature[];

/** What the attacker comes to hold of both sums of keys, and what the groups say. */
function attack(heard: typeof Heard, choose: (alive: Signed, dead: Signed) => [Signed, Signed]) {
  const cast = new SealedCast(GROUPS, { heard: () => heard });
  cast.collect();
  const alive = [VICTIM, ...CORRUPT, ...TOLD_ALIVE].map((name) => cast.sign(name, GROUPS));
  const dead = TOLD_DEAD.map((name) => cast.sign(name, WITHOUT));
  // A corrupt group signs whatever is wanted.
  for (const name of CORRUPT) dead.push(cast.forge(name, cast.statementOf(TOLD_DEAD[0]!)));
  dead.sort((a, b) => (a.group < b.group ? -1 : 1));
  const lootOf = (survivors: readonly string[]) =>
    new Map(CORRUPT.map((name) => [name, cast.confidedSum(name, survivors)]));
  const [withVictim, without] = [lootOf(GROUPS), lootOf(WITHOUT)];
  const codes: Record<string, unknown> = {};
  const take = (name: string, signatures: Signed, loot: Map<string, RingElement>) => {
    codes[name] = codeOf(() => loot.set(name, cast.reveal(name, signatures)!));
  };
  const [forAlive, forDead] = choose(alive, dead);
  for (const name of TOLD_ALIVE) take(name, forAlive, withVictim);
  for (const name of TOLD_DEAD) take(name, forDead, without);
  return { cast, withVictim, without, codes };
}

const told = (names: readonly string[], code: unknown) =>
  Object.fromEntries(names.map((name) => [name, code]));

/** The victim's update, where the two sums of keys can be made. */
function readFrom(cast: SealedCast, withVictim: Loot, without: Loot): Uint32Array | null {
  const roster = cast.rosterOf(VICTIM);
  const key = differenceOf(withVictim, without, roster);
  return key === null ? null : cast.read([cast.uploads.get(VICTIM)!], key, roster.seed);
}

test('without the round of signatures, the aggregator and two groups read the update', () => {
  const { cast, withVictim, without, codes } = attack(NoConsistency, (alive, dead) => [alive, dead]);
  expect(codes).toEqual(told([...TOLD_ALIVE, ...TOLD_DEAD], null));
  expect(readFrom(cast, withVictim, without)).toEqual(cast.clearWords(VICTIM));
});

describe('ours', () => {
  test('only one of two lists gets a quorum: it opens the sum of those who are in it, and nothing else', () => {
    const { cast, withVictim, without, codes } = attack(Heard, (alive, dead) => [alive, dead]);
    expect(codes).toEqual({ ...told(TOLD_ALIVE, null), ...told(TOLD_DEAD, 'ROUND_REFUSED') });
    expect(readFrom(cast, withVictim, without)).toBeNull();
    expect([...without.keys()]).toEqual(CORRUPT);
    const confided = new Map(CORRUPT.map((name) => [name, cast.confided(name, VICTIM)]));
    expect(saysNothing(cast, VICTIM, confided)).toBe(true);
    // The sum of keys that did come to light is good for the sum of all, and for no smaller one.
    const roster = cast.rosterOf(VICTIM);
    const nobody = new Map([...withVictim.keys()].map((name) => [name, cast.confidedSum(name, [])]));
    const key = differenceOf(withVictim, nobody, roster)!;
    const all = GROUPS.map((name) => cast.uploads.get(name)!);
    expect(cast.read(all, key, roster.seed)).toEqual(wordsSum(GROUPS.map((name) => cast.clearWords(name))));
    for (const name of GROUPS) {
      expect(cast.read([cast.uploads.get(name)!], key, roster.seed)).toBeNull();
      const rest = all.filter((upload) => upload !== cast.uploads.get(name));
      expect(cast.read(rest, key, roster.seed)).toBeNull();
    }
  });

  test.each<[string, (alive: Signed, dead: Signed) => Signed, string]>([
    ['no signatures', () => [], 'ROUND_REFUSED'],
    ['those under the other list', (alive) => alive, 'AGGREGATOR_UNTRUSTED'],
    [
      'both lists together',
      (alive, dead) =>
        [...alive.filter((one) => dead.every((other) => other.group !== one.group)), ...dead].sort((a, b) =>
          a.group < b.group ? -1 : 1,
        ),
      'AGGREGATOR_UNTRUSTED',
    ],
    ['one of them twice, to fill up', (_, dead) => [dead[0]!, ...dead], 'AGGREGATOR_UNTRUSTED'],
    [
      'one under a name that did not sign',
      (_, dead) => [...dead, { group: GROUPS[6]!, signature: dead[0]!.signature }].slice(-5),
      'AGGREGATOR_UNTRUSTED',
    ],
    [
      'one of somebody who is no group',
      (_, dead) => [...dead, { ...dead[0]!, group: 'zz' }],
      'AGGREGATOR_UNTRUSTED',
    ],
  ])('shown %s, a member that holds the victim for lost gives nothing away', (_name, forged, code) => {
    const { cast, withVictim, without, codes } = attack(Heard, (alive, dead) => [alive, forged(alive, dead)]);
    for (const name of TOLD_DEAD) expect(codes[name]).toBe(code);
    expect(readFrom(cast, withVictim, without)).toBeNull();
  });

  test('a member answers for no list that it is not in: else its own key would be in the sum without its update', () => {
    const cast = new SealedCast(GROUPS);
    cast.collect();
    const code = codeOf(() => cast.sign(VICTIM, WITHOUT));
    expect(code).toBe('AGGREGATOR_UNTRUSTED');
    const signatures = WITHOUT.map((name) => cast.sign(name, WITHOUT));
    expect(codeOf(() => cast.reveal(VICTIM, signatures))).toBe('AGGREGATOR_UNTRUSTED');
    expect(codeOf(() => cast.reveal(OTHERS[0]!, signatures))).toBeNull();
  });

  test('nor where it was told of other sharers than those who signed, though both survived and signed alike', () => {
    const cast = new SealedCast(GROUPS);
    cast.share();
    const few = GROUPS.slice(0, 6);
    const toldFew = few.slice(4);
    for (const name of few) {
      const sharers = toldFew.includes(name) ? few : GROUPS;
      cast.ask(name, STEP.upload, cast.deliveryFor(name, { sharers }));
    }
    const signatures = few.map((name) => cast.sign(name, few));
    for (const name of few) expect(codeOf(() => cast.reveal(name, signatures))).toBe('AGGREGATOR_UNTRUSTED');
    const alike = signatures.filter(({ group }) => !toldFew.includes(group));
    // Four of seven are no quorum.
    expect(alike).toHaveLength(4);
    for (const { group } of alike) expect(codeOf(() => cast.reveal(group, alike))).toBe('ROUND_REFUSED');
  });
});
