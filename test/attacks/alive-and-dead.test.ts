import { describe, expect, test } from 'vitest';
import { STEP, survivorsMessage } from '../../src/privacy/mask/messages.ts';
import { Cast, codeOf, type Loot, namesOf, readWith, valuesLeft } from '../support/attacks.ts';

/**
 * The aggregator says of one group both that it is in the sum and that it was lost: whoever believes it gives away a share of
 * the group's self mask and one of its mask key, and with both masks known the upload is in clear.
 */

const GROUPS = namesOf(5);
const [VICTIM = '', ...NEIGHBOURS] = GROUPS;

/** A naive group, as in implementations that ask for two lists: it does not see that a name stands in both. */
function naiveReveal(cast: Cast, group: string, alive: readonly string[], dead: readonly string[]) {
  const { held } = cast.member(group).heard.delivery();
  return {
    self: new Map(alive.flatMap((name) => (held.has(name) ? [[name, held.get(name)!.self] as const] : []))),
    mask: new Map(dead.flatMap((name) => (held.has(name) ? [[name, held.get(name)!.mask] as const] : []))),
  };
}

test('against groups that do not compare the two lists, the aggregator alone reads the update', () => {
  const cast = new Cast(GROUPS);
  cast.collect();
  const revealed = NEIGHBOURS.map((name) => [name, naiveReveal(cast, name, GROUPS, [VICTIM])] as const);
  const self: Loot = new Map(revealed.map(([name, { self }]) => [name, self.get(VICTIM)!]));
  const mask: Loot = new Map(revealed.map(([name, { mask }]) => [name, mask.get(VICTIM)!]));
  expect(readWith(cast, VICTIM, self, mask)).toEqual(cast.clearWords(VICTIM));
});

describe('ours', () => {
  /** All of them are asked as an honest aggregator would: their masks are off the sum, and the victim's is off its upload. */
  function opened() {
    const cast = new Cast(GROUPS);
    cast.collect();
    const signatures = GROUPS.map((name) => cast.sign(name, GROUPS));
    const self = new Map(NEIGHBOURS.map((name) => [name, cast.reveal(name, signatures).get(VICTIM)!]));
    return { cast, self, signatures };
  }

  test('has one list, and refuses it with a name that stands there twice', () => {
    const cast = new Cast(GROUPS);
    cast.collect();
    for (const twice of [
      [VICTIM, ...GROUPS],
      [...GROUPS, VICTIM],
    ]) {
      const shown = survivorsMessage.write({ survivors: twice });
      expect(codeOf(() => cast.ask(NEIGHBOURS[0]!, STEP.consistency, shown))).toBe('AGGREGATOR_UNTRUSTED');
    }
  });

  test('gives one share of each neighbour, so that of the mask key nothing is known', () => {
    const { cast, self } = opened();
    const roster = cast.rosterOf(VICTIM);
    expect(valuesLeft(roster, VICTIM, self)).toBe(1);
    expect(valuesLeft(roster, VICTIM, new Map())).toBe(256);
    for (const name of NEIGHBOURS) {
      expect(self.get(name)).toEqual(cast.confided(name, VICTIM).self);
      expect(self.get(name)).not.toEqual(cast.confided(name, VICTIM).mask);
    }
    expect(readWith(cast, VICTIM, self, new Map())).toBeNull();
  });

  test('asked again with the victim among the dead, gives the same shares again', () => {
    const { cast, self, signatures } = opened();
    const without = GROUPS.filter((name) => name !== VICTIM);
    for (const name of NEIGHBOURS) {
      cast.member(name).shown.set(STEP.consistency, survivorsMessage.write({ survivors: without }));
      expect(cast.reveal(name, signatures).get(VICTIM)).toEqual(self.get(name));
    }
  });
});
