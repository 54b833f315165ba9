import { describe, expect, test } from 'vitest';
import { bytesFrom } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import type { RoundContext } from '../../src/privacy/protection.ts';
import { STEP } from '../../src/privacy/seal/messages.ts';
import { seal } from '../../src/privacy/seal.ts';
import { codeOf, namesOf, PARAMETERS, type Signature } from '../support/attacks.ts';
import { contextOf, identityIn, ProtectedRound, SHAPE } from '../support/protected-round.ts';
import { isSameElement, joined, minus, SealedCast } from '../support/sealed-attacks.ts';

/** What was sent, or opened, in one attempt of a round is used in another. */

const GROUPS = namesOf(5);
const [VICTIM = '', ...OTHERS] = GROUPS;
const FIRST = contextOf(PARAMETERS);
const CHANGES: [string, Partial<RoundContext>][] = [
  ['attempt', { attempt: 2 }],
  ['round', { round: 4 }],
  ['run', { run: sha256('another run') }],
  ['model', { model: sha256('another model') }],
];

/** The same in all attempts: so that nothing but what keys are bound to keeps them apart. */
const secret = (group: string) => bytesFrom(sha256('one secret for ever', group));

/** One attempt that leads to the sum of some groups, and the sum of their keys. */
function opened(context: RoundContext, survivors: readonly string[]) {
  const cast = new SealedCast(GROUPS, { context, secret });
  cast.collect();
  const signatures = survivors.map((name) => cast.sign(name, survivors));
  const loot = new Map(survivors.map((name) => [name, cast.reveal(name, signatures)!]));
  return { cast, signatures, loot, keys: joined(cast.rosterOf(survivors[0]!), loot)! };
}

/** In one attempt the victim is said to be lost, in the other it is in the sum: its key is the difference. */
function attack(second: RoundContext) {
  const lost = opened(FIRST, OTHERS);
  const there = opened(second, GROUPS);
  const key = minus(there.keys, lost.keys);
  const read = [lost.cast, there.cast].map((cast) =>
    cast.read([cast.uploads.get(VICTIM)!], key, cast.rosterOf(VICTIM).seed),
  );
  return { lost, there, read };
}

test('against groups whose keys are not bound to the attempt, two attempts together tell the update', () => {
  const { lost, there, read } = attack(FIRST);
  expect(read).toEqual([lost.cast.clearWords(VICTIM), there.cast.clearWords(VICTIM)]);
});

describe.each(CHANGES)('ours, another %s', (_name, change) => {
  const context = { ...FIRST, ...change };

  test('what both open tells nothing but both sums', () => {
    const { lost, there, read } = attack(context);
    expect(read).toEqual([null, null]);
    // Nor does the key of one sum open the other, or the same groups' uploads of the other attempt.
    for (const [mine, other] of [
      [lost, there],
      [there, lost],
    ] as const) {
      const uploads = [...mine.cast.uploads.values()];
      const { seed } = mine.cast.rosterOf(VICTIM);
      expect(mine.cast.read(uploads, other.keys, seed)).toBeNull();
      expect(mine.cast.read(uploads.slice(1), other.keys, seed)).toBeNull();
    }
    // Shares of one attempt beside those of the other are of no key at all.
    const mixed = new Map(
      [...lost.loot].map(([name, share], i) => [name, i > 1 ? there.loot.get(name)! : share]),
    );
    const roster = lost.cast.rosterOf(VICTIM);
    const uploads = OTHERS.map((name) => lost.cast.uploads.get(name)!);
    expect(lost.cast.read(uploads, joined(roster, lost.loot)!, roster.seed)).not.toBeNull();
    expect(lost.cast.read(uploads, joined(roster, mixed)!, roster.seed)).toBeNull();
  });

  test('groups refuse old keys and signatures, and an old box does not open', () => {
    const { lost } = attack(context);
    const fresh = () => new SealedCast(GROUPS, { context, secret });
    const old = lost.cast.adverts().find(({ group }) => group === OTHERS[0])!;
    const cast = fresh();
    const adverts = cast.adverts().map((advert) => (advert.group === old.group ? old : advert));
    expect(codeOf(() => cast.share(adverts))).toBe('AGGREGATOR_UNTRUSTED');

    const boxed = fresh();
    boxed.share();
    const boxOf = (from: string, to: string) =>
      (from === OTHERS[0] && to === VICTIM ? lost.cast : boxed).boxOf(from, to);
    for (const name of GROUPS) boxed.ask(name, STEP.upload, boxed.deliveryFor(name, { boxOf }));
    expect(boxed.member(VICTIM).heard.shareFrom(OTHERS[0]!)).toBeNull();
    expect(boxed.member(VICTIM).heard.shareFrom(OTHERS[1]!)).not.toBeNull();
    const signatures = GROUPS.map((name) => boxed.sign(name, GROUPS));
    expect(boxed.reveal(VICTIM, signatures)).toBeNull();

    const signed = fresh();
    signed.collect();
    const now = GROUPS.map((name) => signed.sign(name, GROUPS));
    const withOld: Signature[] = [...now.slice(0, 4), { ...lost.signatures[3]!, group: GROUPS[4]! }];
    expect(codeOf(() => signed.reveal(VICTIM, withOld))).toBe('AGGREGATOR_UNTRUSTED');
    expect(codeOf(() => signed.reveal(VICTIM, now))).toBeNull();
  });

  test('the aggregator refuses old messages of every step', () => {
    const updates = GROUPS.map((name) => new SealedCast(GROUPS).updateOf(name));
    const protection = seal.create({}, SHAPE);
    const before = new ProtectedRound({ protection, updates, context: FIRST });
    const now = new ProtectedRound({ protection, updates, context });
    const codes = Object.values(STEP).map((step) => {
      const old = before.answer(step, VICTIM);
      const moved = { ...old, round: context.round };
      const code = codeOf(() => now.collection.screen(step, moved, identityIn(VICTIM).publicKey));
      before.playStep(step);
      now.playStep(step);
      return code;
    });
    expect(codes).toEqual([
      'SIGNATURE_INVALID',
      'ROUND_REFUSED',
      'ROUND_REFUSED',
      'SIGNATURE_INVALID',
      'ROUND_REFUSED',
    ]);
  });
});

test('ours: keys and boxes are of one list of groups, though the secret, the round and the attempt are the same', () => {
  const [first, second] = [GROUPS, GROUPS.slice(0, 4)].map((groups) => {
    const cast = new SealedCast(GROUPS, { secret });
    cast.share(cast.adverts(groups), groups);
    for (const name of groups)
      cast.uploads.set(name, cast.ask(name, STEP.upload, cast.deliveryFor(name, { sharers: groups })));
    return cast;
  });
  expect(isSameElement(first!.keyOf(VICTIM), second!.keyOf(VICTIM))).toBe(false);
  expect(Buffer.compare(first!.boxOf(VICTIM, OTHERS[0]!), second!.boxOf(VICTIM, OTHERS[0]!))).not.toBe(0);
  // Not a piece of keystream is used twice: coefficients of both uploads agree by chance alone, one of 256 in each byte.
  const [a, b] = [first!.uploads.get(VICTIM)!, second!.uploads.get(VICTIM)!];
  const same = a.filter((byte, i) => i >= 32 && byte === b[i]).length / (a.length - 32);
  expect(same).toBeLessThan(1 / 200);
});

test('a signature under keys is no word for who survived', () => {
  const cast = new SealedCast(GROUPS);
  cast.collect();
  for (const name of GROUPS) cast.sign(name, GROUPS);
  const keys = cast.adverts().map(({ group, signature }) => ({ group, signature }));
  expect(codeOf(() => cast.reveal(VICTIM, keys))).toBe('AGGREGATOR_UNTRUSTED');
});
