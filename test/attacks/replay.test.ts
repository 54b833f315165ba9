import { describe, expect, test } from 'vitest';
import { bytesFrom } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { deliveryMessage, STEP } from '../../src/privacy/mask/messages.ts';
import { joinSecret } from '../../src/privacy/mask/shamir.ts';
import { mask } from '../../src/privacy/mask.ts';
import type { RoundContext } from '../../src/privacy/protection.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { Cast, codeOf, namesOf, PARAMETERS, placed, type Signature, unmaskWith } from '../support/attacks.ts';
import { contextOf, identityIn, ProtectedRound, SHAPE } from '../support/protected-round.ts';

/** What was sent, or told, in one attempt of a round is used in another. */

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

/** One attempt that leads to a sum without some groups, and the secret of the victim that it opens. */
function opened(context: RoundContext, survivors: readonly string[]) {
  const cast = new Cast(GROUPS, { context, secret });
  cast.collect();
  const signatures = survivors.map((name) => cast.sign(name, survivors));
  const keepers = survivors.filter((name) => name !== VICTIM);
  const loot = new Map(keepers.map((name) => [name, cast.reveal(name, signatures).get(VICTIM)!]));
  const roster = cast.rosterOf(VICTIM);
  return { cast, signatures, secret: joinSecret(placed(roster, VICTIM, loot), roster.plan.threshold) };
}

/** In the first attempt the victim is said to be lost, in the second it is in the sum: one secret of each comes to light. */
function attack(second: RoundContext) {
  const lost = opened(FIRST, OTHERS);
  const there = opened(second, GROUPS);
  const secrets = { self: there.secret, mask: lost.secret };
  return { lost, there, read: [lost.cast, there.cast].map((cast) => unmaskWith(cast, VICTIM, secrets)) };
}

test('against groups whose keys are not bound to the attempt, two attempts together tell both updates', () => {
  const { lost, there, read } = attack(FIRST);
  expect(read).toEqual([lost.cast.clearWords(VICTIM), there.cast.clearWords(VICTIM)]);
});

describe.each(CHANGES)('ours, another %s', (_name, change) => {
  const context = { ...FIRST, ...change };

  test('what one of them opens takes no mask off the other', () => {
    const { lost, there, read } = attack(context);
    for (const [index, cast] of [lost.cast, there.cast].entries()) {
      expect(read[index]).not.toEqual(cast.clearWords(VICTIM));
      // Not a word of them, but by chance.
      const same = read[index]!.filter((word, at) => word === cast.clearWords(VICTIM)[at]);
      expect(same.length).toBeLessThan(2);
    }
    const { maskKey } = there.cast.rosterOf(VICTIM).adverts.get(VICTIM)!;
    expect(keyPairOf(lost.secret).publicKey).not.toBe(Buffer.from(maskKey).toString('hex'));
  });

  test('groups refuse old keys and signatures, and an old box does not open', () => {
    const { lost } = attack(context);
    const fresh = () => new Cast(GROUPS, { context });
    const old = lost.cast.adverts().find(({ group }) => group === OTHERS[0])!;
    const cast = fresh();
    const adverts = cast.adverts().map((advert) => (advert.group === old.group ? old : advert));
    expect(codeOf(() => cast.share(adverts))).toBe('AGGREGATOR_UNTRUSTED');

    const boxed = fresh();
    boxed.share();
    const sealed = deliveryMessage.read(boxed.deliveryFor(VICTIM))!.sealed.slice();
    sealed[0] = deliveryMessage.read(lost.cast.deliveryFor(VICTIM))!.sealed[0]!;
    const shown = deliveryMessage.write({ sharers: [...GROUPS], sealed });
    // It is as if the neighbour had sealed nothing: the group goes on, and has no share of it to give away.
    expect(codeOf(() => boxed.ask(VICTIM, STEP.upload, shown))).toBeNull();
    const { held } = boxed.member(VICTIM).heard.delivery();
    const unopened = [...held].filter(([, shares]) => shares === null).map(([from]) => from);
    expect(unopened).toEqual([boxed.rosterOf(VICTIM).neighbours.get(VICTIM)![0]]);

    const signed = fresh();
    signed.collect();
    const now = GROUPS.map((name) => signed.sign(name, GROUPS));
    const withOld: Signature[] = [...now.slice(0, 4), { ...lost.signatures[3]!, group: GROUPS[4]! }];
    expect(codeOf(() => signed.reveal(VICTIM, withOld))).toBe('AGGREGATOR_UNTRUSTED');
    expect(codeOf(() => signed.reveal(VICTIM, now))).toBeNull();
  });

  test('the aggregator refuses old messages of every step', () => {
    const updates = GROUPS.map((name) => new Cast(GROUPS).updateOf(name));
    const protection = mask.create({}, SHAPE);
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

test('a signature of one kind is not one of another: an upload is no word for who survived', () => {
  const cast = new Cast(GROUPS);
  cast.collect();
  for (const name of GROUPS) cast.sign(name, GROUPS);
  const uploads = GROUPS.map((group) => ({ group, signature: cast.uploads.get(group)!.slice(32, 96) }));
  expect(codeOf(() => cast.reveal(VICTIM, uploads))).toBe('AGGREGATOR_UNTRUSTED');
  const keys = cast.adverts().map(({ group, signature }) => ({ group, signature }));
  expect(codeOf(() => cast.reveal(VICTIM, keys))).toBe('AGGREGATOR_UNTRUSTED');
});
