import { describe, expect, test } from 'vitest';
import { pairMaskKey, pairSign, selfMaskKey } from '../../src/privacy/mask/keys.ts';
import {
  keysMessage,
  rosterMessage,
  STEP,
  sharesMessage,
  survivorsMessage,
} from '../../src/privacy/mask/messages.ts';
import { joinSecret } from '../../src/privacy/mask/shamir.ts';
import { addMask } from '../../src/privacy/secure-sum/expand.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { AttackedClient } from '../support/attacked-client.ts';
import {
  Cast,
  Credulous,
  codeOf,
  confidedBy,
  identityFor,
  type Loot,
  namesOf,
  PARAMETERS,
  placed,
  readWith,
  valuesLeft,
} from '../support/attacks.ts';
import { updateOf } from '../support/protected-round.ts';

/** The aggregator lets the victim be alone: with groups of its own, or by calling all others lost. */

const VICTIM = 'g00';

describe('a round of the victim and two groups of the aggregator', () => {
  const trio = (peers: { least: number; trusts(group: string, key: string): boolean }) => {
    const cast = new Cast(namesOf(3), { peers: () => peers });
    const code = codeOf(() => cast.collect());
    const read = () => {
      const { self, mask } = confidedBy(cast, ['g01', 'g02'], VICTIM);
      return readWith(cast, VICTIM, self, mask);
    };
    return { cast, code, read };
  };

  test('a victim that asks for no more than three groups, and takes any, is read', () => {
    const { cast, code, read } = trio({ least: 1, trusts: () => true });
    expect(code).toBeNull();
    expect(read()).toEqual(cast.clearWords(VICTIM));
  });

  test('ours takes no part where it asks for more groups (--least-groups)', () => {
    const { cast, code } = trio({ least: 4, trusts: () => true });
    expect(code).toBe('ROUND_REFUSED');
    expect(cast.shares.size).toBe(0);
  });

  test('ours takes no part where its list of peers does not have them (--peers)', () => {
    const known = new Map(['g00', 'g07', 'g08'].map((name) => [name, identityFor(name).publicKey]));
    const { cast, code } = trio({ least: 1, trusts: (group, key) => known.get(group) === key });
    expect(code).toBe('AGGREGATOR_UNTRUSTED');
    expect(cast.shares.size).toBe(0);
  });

  /** The client of a run with some quorum, up to its update; two groups of the aggregator do as they should. */
  async function client(quorum: number) {
    const victim = new AttackedClient(
      VICTIM,
      () => updateOf(VICTIM, 1, new Float32Array(PARAMETERS)),
      undefined,
      {
        quorum,
      },
    );
    const all = namesOf(3);
    const [, ...others] = all;
    const cast = new Cast(all, { context: victim.context() });
    await victim.asked(STEP.keys);
    const own = { group: VICTIM, ...keysMessage.read(victim.sentIn(STEP.keys)[0]!)! };
    const adverts = [own, ...cast.adverts(others)];
    victim.show = () => rosterMessage.write({ adverts });
    await victim.asked(STEP.shares);
    const [shares] = victim.sentIn(STEP.shares);
    if (shares === undefined) return victim;
    cast.share(adverts, others);
    cast.shares.set(VICTIM, sharesMessage.read(shares)!);
    victim.show = () => cast.deliveryFor(VICTIM, all, cast.rosterOf(others[0]!));
    await victim.asked(STEP.upload);
    return victim;
  }

  test('the client of a run whose quorum is three sends its update', async () => {
    const victim = await client(3);
    expect(victim.refusals).toEqual([]);
    expect(victim.sentIn(STEP.upload)).toHaveLength(1);
  });

  test.each([4, 67])('the client of a run whose quorum is %d sends nothing but keys', async (quorum) => {
    const victim = await client(quorum);
    expect(victim.refusals).toEqual(['ROUND_REFUSED']);
    expect(victim.sent.map(({ place }) => place.step)).toEqual([STEP.keys]);
  });

  test('nobody takes part in a round of two, whatever is agreed', () => {
    const cast = new Cast(namesOf(2));
    expect(codeOf(() => cast.collect())).toBe('ROUND_REFUSED');
  });
});

describe('all but the victim are said to be lost', () => {
  const GROUPS = namesOf(7);
  const OTHERS = GROUPS.slice(1);

  test('against groups without a least number, the aggregator alone reads the update as the sum of one', () => {
    const cast = new Cast(GROUPS, { heard: () => Credulous });
    cast.collect();
    const told = new Map(
      OTHERS.map((name) => {
        cast.sign(name, [VICTIM]);
        return [name, cast.reveal(name, [])] as const;
      }),
    );
    const roster = cast.rosterOf(VICTIM);
    const lootOf = (owner: string): Loot =>
      new Map(OTHERS.filter((name) => name !== owner).map((name) => [name, told.get(name)!.get(owner)!]));
    const open = (owner: string) => joinSecret(placed(roster, owner, lootOf(owner)), roster.plan.threshold);
    const words = cast.masked(cast.uploads.get(VICTIM)!);
    addMask(words, selfMaskKey(open(VICTIM), roster, VICTIM), -1);
    for (const other of OTHERS) {
      const key = pairMaskKey(keyPairOf(open(other)), roster, [VICTIM, other], VICTIM)!;
      addMask(words, key, pairSign(VICTIM, other) === 1 ? -1 : 1);
    }
    expect(cast.ring(words)).toEqual(cast.clearWords(VICTIM));
  });

  test.each([
    ['the victim alone', [VICTIM]],
    ['the victim and one', GROUPS.slice(0, 2)],
    ['two thirds, and not one more', GROUPS.slice(0, 4)],
  ])('ours: with %s as survivors, nobody signs', (_name, survivors) => {
    const cast = new Cast(GROUPS);
    cast.collect();
    const codes = GROUPS.map((name) => codeOf(() => cast.sign(name, survivors)));
    const expected = GROUPS.map((name) =>
      survivors.includes(name) ? 'ROUND_REFUSED' : 'AGGREGATOR_UNTRUSTED',
    );
    expect(codes).toEqual(expected);
    expect(valuesLeft(cast.rosterOf(VICTIM), VICTIM, new Map())).toBe(256);
  });

  test('ours: with fewer survivors than the quorum of the run nobody signs, though they are more than two thirds', () => {
    const cast = new Cast(GROUPS, { peers: () => ({ least: 6, trusts: () => true }) });
    cast.collect();
    const codes = (survivors: readonly string[]) =>
      survivors.map((name) => codeOf(() => cast.sign(name, survivors)));
    expect(codes(GROUPS.slice(0, 5))).toEqual(GROUPS.slice(0, 5).map(() => 'ROUND_REFUSED'));
    const signing = new Cast(GROUPS, { peers: () => ({ least: 6, trusts: () => true }) });
    signing.collect();
    const six = GROUPS.slice(0, 6);
    expect(six.map((name) => codeOf(() => signing.sign(name, six)))).toEqual(six.map(() => null));
  });

  test('ours: with two thirds who shared, nobody sends its update', () => {
    const cast = new Cast(GROUPS);
    cast.share();
    const few = GROUPS.slice(0, 4);
    for (const name of few) {
      expect(codeOf(() => cast.ask(name, STEP.upload, cast.deliveryFor(name, few)))).toBe('ROUND_REFUSED');
    }
  });

  test.each([
    ['counted twice', [...GROUPS.slice(0, 4), 'g03']],
    ['in another order', [...OTHERS, VICTIM]],
    ['who never took part', [...GROUPS, 'g99']],
    ['without the one that is asked', OTHERS],
  ])('ours: a list with groups %s is refused', (_name, survivors) => {
    const cast = new Cast(GROUPS);
    cast.collect();
    const shown = survivorsMessage.write({ survivors });
    expect(codeOf(() => cast.ask(VICTIM, STEP.consistency, shown))).toBe('AGGREGATOR_UNTRUSTED');
  });
});
