import { describe, expect, test } from 'vitest';
import { Heard } from '../../src/privacy/mask/heard.ts';
import {
  Cast,
  codeOf,
  type Loot,
  namesOf,
  readWith,
  type Signature,
  valuesLeft,
} from '../support/attacks.ts';

/**
 * The aggregator tells some neighbours that the victim is in the sum, and others that it was lost. Two of seven groups are its
 * own, and tell it both shares that they keep.
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

/** What the attacker comes to hold of the victim's two secrets, and what the groups say. */
function attack(heard: typeof Heard, choose: (alive: Signed, dead: Signed) => [Signed, Signed]) {
  const cast = new Cast(GROUPS, { heard: () => heard });
  cast.collect();
  const alive = [VICTIM, ...CORRUPT, ...TOLD_ALIVE].map((name) => cast.sign(name, GROUPS));
  // A corrupt group signs whatever is wanted; the shown lists of honest ones stay as they are.
  const dead = TOLD_DEAD.map((name) => cast.sign(name, WITHOUT));
  const statement = cast.statementOf(TOLD_DEAD[0]!);
  for (const name of CORRUPT) {
    dead.push(cast.forge(name, statement));
  }
  dead.sort((a, b) => (a.group < b.group ? -1 : 1));
  const self = new Map(CORRUPT.map((name) => [name, cast.confided(name, VICTIM).self]));
  const mask = new Map(CORRUPT.map((name) => [name, cast.confided(name, VICTIM).mask]));
  const codes: Record<string, unknown> = {};
  const take = (name: string, signatures: Signed, loot: Map<string, Uint8Array>) => {
    codes[name] = codeOf(() => loot.set(name, cast.reveal(name, signatures).get(VICTIM)!));
  };
  const [forAlive, forDead] = choose(alive, dead);
  for (const name of TOLD_ALIVE) take(name, forAlive, self);
  for (const name of TOLD_DEAD) take(name, forDead, mask);
  return { cast, self, mask, codes };
}

const left = (cast: Cast, loot: Loot) => valuesLeft(cast.rosterOf(VICTIM), VICTIM, loot);
const told = (names: readonly string[], code: unknown) =>
  Object.fromEntries(names.map((name) => [name, code]));

test('without the round of signatures, the aggregator and two groups read the update', () => {
  const { cast, self, mask, codes } = attack(NoConsistency, (alive, dead) => [alive, dead]);
  expect(codes).toEqual(told([...TOLD_ALIVE, ...TOLD_DEAD], null));
  expect(readWith(cast, VICTIM, self, mask)).toEqual(cast.clearWords(VICTIM));
});

describe('ours', () => {
  test('only one of two lists gets a quorum: of the mask key too few shares come, which say nothing', () => {
    const { cast, self, mask, codes } = attack(Heard, (alive, dead) => [alive, dead]);
    expect(codes).toEqual({ ...told(TOLD_ALIVE, null), ...told(TOLD_DEAD, 'ROUND_REFUSED') });
    expect([left(cast, self), left(cast, mask)]).toEqual([1, 256]);
    expect(readWith(cast, VICTIM, self, mask)).toBeNull();
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
  ])('shown %s, a group that holds the victim for lost gives nothing away', (_name, forged, code) => {
    const { cast, mask, codes } = attack(Heard, (alive, dead) => [alive, forged(alive, dead)]);
    for (const name of TOLD_DEAD) expect(codes[name]).toBe(code);
    expect(left(cast, mask)).toBe(256);
  });
});
