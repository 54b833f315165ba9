import { beforeAll, describe, expect, test } from 'vitest';
import { asStage } from '../../../src/core/brand.ts';
import { canonicalJson } from '../../../src/core/digest.ts';
import { randomStream } from '../../../src/core/random.ts';
import { maskOptions, maskSettings } from '../../../src/privacy/mask/settings.ts';
import { mask } from '../../../src/privacy/mask.ts';
import { planCommittee } from '../../../src/privacy/seal/committee.ts';
import { loadedRing } from '../../../src/privacy/seal/loaded-ring.ts';
import { openMessage, STEP } from '../../../src/privacy/seal/messages.ts';
import { sealOptions, sealSettings } from '../../../src/privacy/seal/settings.ts';
import { seal, sealSingle } from '../../../src/privacy/seal.ts';
import { ASSUMED } from '../../../src/privacy/secure-sum/assumptions.ts';
import type { ProtectedUpdate } from '../../../src/wire/stages.ts';
import { codeOf } from '../../support/attacks.ts';
import { EVERY_CASE } from '../../support/deployment.ts';
import { chosenFrom, expectExact, updatesOf } from '../../support/exact-rounds.ts';
import { contextOf, identityIn, ProtectedRound, playRound, SHAPE } from '../../support/protected-round.ts';
import { heapOf, watchMemories } from './wasm-memory.ts';

const PARAMETERS = 40;
const STEPS = Object.entries(STEP);

const protectionFor = (mostGroups: number) => seal.create({ mostGroups }, SHAPE);
const settingsFor = (mostGroups: number) => sealSettings(sealOptions.parse({ mostGroups }), SHAPE);

beforeAll(() => {
  watchMemories();
  return protectionFor(3).prepare();
});

/** Plays a round in which some groups fall silent before a step. */
function play(count: number, silentBefore = new Map<number, readonly string[]>()) {
  const updates = updatesOf(count, PARAMETERS);
  return playRound({
    protection: protectionFor(count),
    updates,
    context: contextOf(PARAMETERS),
    silentBefore,
  });
}

describe.each([3, 5, 10])('%d groups, all of them members', (count) => {
  const updates = updatesOf(count, PARAMETERS);

  test('without dropouts the sum is that of the quantised updates, bit for bit', () => {
    expectExact(play(count), updates, settingsFor(count));
  });

  test.each(STEPS)(
    'three in ten silent from step %s on: the sum of the others, bit for bit',
    (_name, step) => {
      const silent = chosenFrom(updates, 0.3, step);
      const summed = step <= STEP.upload ? updates.filter(({ group }) => !silent.includes(group)) : updates;
      expectExact(play(count, new Map([[step, silent]])), summed, settingsFor(count));
    },
  );

  test('as few members as the threshold open the sum, one fewer do not', () => {
    const threshold = Math.floor(count / 2) + 1;
    const silent = (left: number) => new Map([[STEP.open, updates.slice(left).map(({ group }) => group)]]);
    expectExact(play(count, silent(threshold)), updates, settingsFor(count));
    expect(() => play(count, silent(threshold - 1))).toThrow(/step 4 waits for more than/);
  });
});

test('of twenty groups eleven open the sum, whoever they are', () => {
  const updates = updatesOf(20, PARAMETERS);
  const silent = chosenFrom(updates, 0.45, 1);
  expect(silent).toHaveLength(9);
  expectExact(play(20, new Map([[STEP.open, silent]])), updates, settingsFor(20));
});

test.skipIf(!EVERY_CASE)(
  'of sixty groups a committee of some opens the sum, bit for bit (SKIPPED unless PLURALLLM_EVERY_DROPOUT=1)',
  () => {
    const updates = updatesOf(60, PARAMETERS);
    expect(planCommittee(60, ASSUMED)!.members).toBeLessThan(60);
    const silent = chosenFrom(updates, 0.3, 1);
    const aggregate = play(60, new Map([[STEP.open, silent]]));
    expectExact(aggregate, updates, settingsFor(60));
  },
);

test('the sum has the very bytes that masking gives', () => {
  const updates = updatesOf(5, PARAMETERS);
  const masked = playRound({
    protection: mask.create({ mostGroups: 5 }, SHAPE),
    updates,
    context: contextOf(PARAMETERS),
  });
  expect(maskSettings(maskOptions.parse({ mostGroups: 5 }), SHAPE).grid).toEqual(settingsFor(5).grid);
  const sealed = play(5);
  expect(Buffer.from(sealed.weightedSum.buffer)).toEqual(Buffer.from(masked.weightedSum.buffer));
  expect({ ...sealed, weightedSum: null }).toEqual({ ...masked, weightedSum: null });
});

describe('members that lie', () => {
  const context = contextOf(PARAMETERS);

  /** Plays a round of so many groups, in which some members give another share than theirs, and some none. */
  function playLies(count: number, liars: readonly string[], silent: readonly string[] = []) {
    const round = new ProtectedRound({
      protection: protectionFor(count),
      updates: updatesOf(count, PARAMETERS),
      context,
      silentBefore: new Map([[STEP.open, silent]]),
    });
    for (let step = 0; step < STEP.open; step++) round.playStep(step);
    const random = randomStream(liars.length, 'lies');
    for (const group of round.waitedFor(STEP.open)) {
      const reply = round.answer(STEP.open, group);
      round.take(STEP.open, liars.includes(group) ? changed(reply, random) : reply);
    }
    round.endStep(STEP.open);
    return round.collection;
  }

  /** The reply with one bit of its share changed: the last one is low in the last residue. */
  function changed(reply: ProtectedUpdate, random: ReturnType<typeof randomStream>): ProtectedUpdate {
    const { roster, share } = openMessage.read(reply.payload)!;
    const other = share!.slice();
    other[random.below(other.length - 3)]! ^= 1;
    const payload = openMessage.write({ roster, share: other });
    return asStage<'ProtectedUpdate', typeof reply>({ ...reply, payload });
  }

  const namesIn = (count: number) => updatesOf(count, PARAMETERS).map(({ group }) => group);

  /** The round ends with the sum of all. */
  function expectEnds(count: number, liars: readonly string[], accused: readonly string[]) {
    const collection = playLies(count, liars);
    expectExact(collection.finish(), updatesOf(count, PARAMETERS), settingsFor(count));
    expect(collection.accused()).toEqual(accused);
  }

  test.each(namesIn(5))('%s alone of five is named, and the round ends', (liar) => {
    expectEnds(5, [liar], [liar]);
  });

  test('two of five are more than can be told apart: the round ends, and nobody is accused', () => {
    expectEnds(5, ['group-0001', 'group-0003'], []);
  });

  test.each(namesIn(3))(
    '%s alone of three makes the others contradict: the round ends, and nobody is accused',
    (liar) => {
      expectEnds(3, [liar], []);
    },
  );

  test('one of as many as are needed makes the round fail, and nothing is opened', () => {
    const collection = playLies(5, ['group-0000'], ['group-0003', 'group-0004']);
    expect(codeOf(() => collection.finish())).toBe('ROUND_FAILED');
    expect(collection.accused()).toEqual([]);
  });

  test('nobody is accused where nobody lied', () => {
    expectEnds(5, [], []);
  });
});

test('malformed, truncated, oversized and foreign replies to any step are refused and not counted', () => {
  const groups = 4;
  const updates = updatesOf(groups, PARAMETERS);
  const round = new ProtectedRound({
    protection: protectionFor(groups),
    updates,
    context: contextOf(PARAMETERS),
  });
  const [evil = '', ...others] = updates.map(({ group }) => group);
  const key = identityIn(evil).publicKey;
  for (const step of Object.values(STEP)) {
    for (const group of others) round.reply(step, group);
    const good = round.answer(step, evil);
    const { payload } = good;
    const flipped = (at: number) => payload.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const bad = [
      new Uint8Array(),
      payload.slice(0, -1),
      Buffer.concat([payload, payload.slice(0, 1)]),
      Buffer.from(canonicalJson({ evil: true })),
      flipped(0),
      ...(step === STEP.keys || step === STEP.consistency ? [flipped(60)] : []),
    ];
    for (const content of bad) {
      const reply = asStage<'ProtectedUpdate', typeof good>({ ...good, payload: new Uint8Array(content) });
      expect([
        step,
        bad.indexOf(content),
        codeOf(() => round.collection.screen(step, reply, key)),
      ]).not.toContain(null);
    }
    round.take(step, good);
    round.endStep(step);
  }
  expectExact(round.collection.finish(), updates, settingsFor(groups));
});

describe('a committee that the configuration names', () => {
  const updates = updatesOf(5, PARAMETERS);
  const names = updates.map(({ group }) => group);
  const [first = '', second = '', third = ''] = names;
  const context = contextOf(PARAMETERS);
  const committee = { members: [first, second, third], threshold: 2 };

  function playNamed(options: object, silent: readonly string[] = []) {
    const protection = seal.create({ mostGroups: 5, ...options }, SHAPE);
    return playRound({ protection, updates, context, silentBefore: new Map([[STEP.open, silent]]) });
  }

  test.each([[[first]], [[second]], [[third]]])('opens the sum without %j', (silent) => {
    expectExact(playNamed({ committee }, silent), updates, settingsFor(5));
  });

  test('does not open it with one member fewer than the threshold, whoever else is there', () => {
    expect(() => playNamed({ committee }, [first, second])).toThrow(
      expect.objectContaining({
        code: 'ROUND_FAILED',
        message: expect.stringContaining('1 of 2 needed members'),
      }),
    );
  });

  test('must take part', () => {
    const elsewhere = { members: [first, 'x', 'y'], threshold: 2 };
    expect(() => playNamed({ committee: elsewhere })).toThrow(
      expect.objectContaining({ code: 'ROUND_REFUSED' }),
    );
  });

  test.each([
    ['one member opens alone', { members: [first, second], threshold: 1 }],
    ['more than there are', { members: [first, second], threshold: 3 }],
    ['a member twice', { members: [first, first], threshold: 2 }],
    ['nobody', { members: [], threshold: 2 }],
  ])('is refused when the options are parsed: %s', (_name, named) => {
    expect(sealOptions.safeParse({ committee: named }).success).toBe(false);
  });

  test('of one key holder is protection seal-single: it opens the sum, and nobody else does', () => {
    const protection = sealSingle.create({ mostGroups: 5, keyHolder: second }, SHAPE);
    const silent = (group: string) => new Map([[STEP.open, [group]]]);
    expectExact(
      playRound({ protection, updates, context, silentBefore: silent(first) }),
      updates,
      settingsFor(5),
    );
    expect(() => playRound({ protection, updates, context, silentBefore: silent(second) })).toThrow(
      expect.objectContaining({ code: 'ROUND_FAILED' }),
    );
    expect(sealSingle.options.safeParse({}).success).toBe(false);
  });
});

test('options have room for as many groups as there is memory for, and a ciphertext for every sum of them', () => {
  expect(sealOptions.safeParse({ mostGroups: 257 }).success).toBe(false);
  for (const bits of [8, 16, 24]) {
    const { plan } = sealSettings(sealOptions.parse({ mostGroups: 256, bits, corruptShare: 0.3 }), SHAPE);
    expect(plan.slots).toBeGreaterThanOrEqual(1);
    expect(planCommittee(256, { corruptShare: 0.3, dropoutShare: 1 / 3 })).not.toBeNull();
  }
});

test('fifty rounds in one process leave nothing behind in SEAL: objects and memory are as after the third', () => {
  const ring = loadedRing();
  const after: { objects: number; heap: number }[] = [];
  for (let round = 1; round <= 50; round++) {
    play(3);
    after.push({ objects: ring.objects, heap: heapOf(0) });
  }
  expect(new Set(after.slice(2).map((state) => JSON.stringify(state))).size).toBe(1);
});
