import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { asStage } from '../../../src/core/brand.ts';
import { bytesOf } from '../../../src/core/bytes.ts';
import { sha256 } from '../../../src/core/digest.ts';
import { PluralError } from '../../../src/core/errors.ts';
import { randomStream } from '../../../src/core/random.ts';
import type { GroupSetup, ReadSum, SealingCollection } from '../../../src/privacy/protection.ts';
import { readersFingerprint } from '../../../src/privacy/readers-key.ts';
import { answerMessage, STEP } from '../../../src/privacy/seal/messages.ts';
import { readSealedSum, writeSealedSum } from '../../../src/privacy/seal/sealed-sum.ts';
import { sealOptions, sealSettings } from '../../../src/privacy/seal/settings.ts';
import { seal } from '../../../src/privacy/seal.ts';
import { framed, unframed } from '../../../src/wire/framed.ts';
import type { Aggregate } from '../../../src/wire/stages.ts';
import { codeOf } from '../../support/attacks.ts';
import { updatesOf as randomUpdates } from '../../support/exact-rounds.ts';
import { contextOf, ProtectedRound, type RoundOptions, SHAPE } from '../../support/protected-round.ts';
import { keyOf } from './helpers.ts';

/** Sums that the aggregator publishes without being able to open them. */

const PARAMETERS = 40;
const READERS = keyOf('readers');
const OPTIONS = { mostGroups: 8 };
const HELD = { ...SHAPE, holds: 'ciphertext' } as const;
const clear = seal.create(OPTIONS, SHAPE);
const held = seal.create(OPTIONS, HELD);
const settings = sealSettings(sealOptions.parse(OPTIONS), HELD);
const context = contextOf(PARAMETERS);

beforeAll(() => held.prepare());

/** Of groups g0, g1, ... */
const updatesOf = (count: number, parameters: number) =>
  randomUpdates(count, parameters).map((update, index) => asStage({ ...update, group: `g${index}` }));

type Change = Partial<RoundOptions>;

/** A round whose groups have the readers' key; `lie` changes what a group answers in the last step. */
function heldRound(
  change: Change = {},
  lie: (group: string, answer: Uint8Array) => Uint8Array = (_, answer) => answer,
): ProtectedRound {
  const join = (setup: GroupSetup) => {
    const part = held.join({ ...setup, readersKey: READERS });
    return {
      answer: (step: number, update: Parameters<typeof part.answer>[1]) => {
        const answer = part.answer(step, update);
        return step === STEP.open ? lie(setup.group, answer) : answer;
      },
    };
  };
  return new ProtectedRound({
    protection: held,
    updates: updatesOf(5, PARAMETERS),
    context,
    join,
    ...change,
  });
}

/** The sealed sum of a round. */
function published(round: ProtectedRound): Uint8Array {
  for (const step of held.steps.keys()) round.playStep(step);
  // A collection of such a protection publishes; its type in a round of any protection does not say so.
  return (round.collection as SealingCollection).publish();
}

const read = (sealed: Uint8Array, readersKey = READERS): ReadSum =>
  held.sealedSums!.read(sealed, context, readersKey);

function fingerprint({ round, weightedSum, totalWeight, scores, groups }: Aggregate): string {
  return sha256(bytesOf(weightedSum), JSON.stringify([round, totalWeight, scores, groups]));
}

describe('a reader comes to the sum that an aggregator would open', () => {
  test.each([...held.steps.keys()].map((step) => [held.steps[step]!.name, step] as const))(
    'with a group that falls silent before step "%s"',
    (_, step) => {
      const change = { silentBefore: new Map([[step, ['g1']]]) };
      const options = { updates: updatesOf(5, PARAMETERS), context, ...change };
      const expected = new ProtectedRound({ ...options, protection: clear }).play();
      const { aggregate, accused } = read(published(heldRound(change)));
      expect(fingerprint(aggregate!)).toBe(fingerprint(expected));
      expect(accused).toEqual([]);
    },
  );

  test('whatever the order of replies, the bytes are the same; and no longer than promised', () => {
    const sealed = published(heldRound());
    const reversed = published(heldRound({ order: (_, groups) => groups.toReversed() }));
    expect(sha256(reversed)).toBe(sha256(sealed));
    expect(sealed.byteLength).toBeLessThanOrEqual(held.sealedSums!.mostBytes);
  });

  test('the longest names of as many groups as there can be fit what is promised', () => {
    const wide = (index: number) => `${index}`.padStart(3, '0') + '\u6f22'.repeat(253);
    const members = Array.from({ length: 255 }, (_, index) => wide(index));
    const survivors = Array.from({ length: 256 }, (_, index) => wide(index));
    const most = sealSettings(sealOptions.parse({ mostGroups: 256 }), HELD);
    const protection = seal.create({ mostGroups: 256 }, HELD);
    const sum = new Uint8Array(4096 * most.plan.bytes);
    const answers = members.map((_, index) => ({ x: index + 1, sealed: new Uint8Array(56_336) }));
    const where = { run: 'r'.repeat(128), round: 2 ** 31, attempt: 2 ** 31, model: sha256('model') };
    const common = { ...where, roster: new Uint8Array(32) };
    const sealed = writeSealedSum({ ...common, members, threshold: 128, survivors, answers, sum });
    expect(sealed.byteLength).toBeLessThanOrEqual(protection.sealedSums!.mostBytes);
    expect(readSealedSum(sealed, most, SHAPE.parameters)?.survivors).toEqual(survivors);
  });
});

describe('who has no part in it', () => {
  test('a group without the readers\u2019 key does not answer', () => {
    const round = heldRound({ join: (setup) => held.join(setup) });
    round.playStep(STEP.keys);
    expect(() => round.answer(STEP.shares, 'g0')).toThrow("has the readers' key");
  });

  test('another key opens nothing, and says something else of itself', () => {
    const other = keyOf('other readers');
    expect(read(published(heldRound()), other).aggregate).toBeNull();
    expect(readersFingerprint(other)).not.toBe(readersFingerprint(READERS));
  });
});

describe('members that lie', () => {
  /** An answer in which a byte is another, so that it does not open. */
  const spoilt = (answer: Uint8Array) => {
    const { roster, sealed } = answerMessage.read(answer)!;
    return answerMessage.write({ roster, sealed: sealed!.map((byte, at) => (at === 99 ? byte ^ 1 : byte)) });
  };

  test.each([1, 2])('%d answers that do not open are got around, and named', (liars) => {
    const names = ['g1', 'g3'].slice(0, liars);
    const lying = heldRound({}, (group, answer) => (names.includes(group) ? spoilt(answer) : answer));
    const expected = read(published(heldRound()));
    const { aggregate, accused } = read(published(lying));
    expect(fingerprint(aggregate!)).toBe(fingerprint(expected.aggregate!));
    expect(accused).toEqual(names);
  });

  test('with more of them nothing opens: no error, and the same for everybody', () => {
    const sealed = published(heldRound({}, (group, answer) => (group > 'g1' ? spoilt(answer) : answer)));
    for (let reader = 0; reader < 3; reader++) {
      expect(read(sealed)).toEqual({ aggregate: null, impossible: false, accused: ['g2', 'g3', 'g4'] });
    }
  });

  test('an answer that says that it is none is not counted', () => {
    const none = (answer: Uint8Array) =>
      answerMessage.write({ ...answerMessage.read(answer)!, sealed: null });
    const round = heldRound({}, (group, answer) => (group > 'g1' ? none(answer) : answer));
    expect(() => published(round)).toThrow(
      expect.objectContaining({ code: 'ROUND_FAILED', message: expect.stringContaining('2 of 3 needed') }),
    );
    expect(round.collection.lacks()).toContain('2 of 3 needed');
  });
});

describe('bytes that are not what was published', () => {
  const sealed = () => published(heldRound());

  test('of another round, run or model', () => {
    const bytes = sealed();
    const at = (change: Partial<typeof context>) => () =>
      held.sealedSums!.read(bytes, { ...context, ...change }, READERS);
    const untrusted = expect.objectContaining({ code: 'AGGREGATOR_UNTRUSTED' });
    expect(at({ round: 4 })).toThrow(untrusted);
    expect(at({ run: sha256('other') })).toThrow(untrusted);
    expect(at({ model: sha256('other') })).toThrow(untrusted);
  });

  test('what says anything else of the round than its members opens nothing', () => {
    const content = readSealedSum(sealed(), settings, PARAMETERS)!;
    const lies = [
      { attempt: 2 },
      { threshold: 2 },
      { survivors: content.survivors.slice(1) },
      { members: content.members.toSpliced(4, 1, 'g5') },
      { roster: keyOf('other roster') },
    ];
    for (const lie of lies) {
      expect(read(writeSealedSum({ ...content, ...lie })).aggregate, Object.keys(lie)[0]).toBeNull();
    }
    expect(read(writeSealedSum(content)).aggregate).not.toBeNull();
  });

  test('a member in another one\u2019s place is no member', () => {
    const content = readSealedSum(sealed(), settings, PARAMETERS)!;
    const [first, second, ...rest] = content.answers;
    const swapped = [{ ...first!, sealed: second!.sealed }, { ...second!, sealed: first!.sealed }, ...rest];
    expect(read(writeSealedSum({ ...content, answers: swapped })).accused).toEqual(['g0', 'g1']);
  });

  test('a thousand changed heads are refused with one code, or come to what everybody comes to', () => {
    const bytes = sealed();
    const expected = fingerprint(read(bytes).aggregate!);
    const random = randomStream(7, 'mutations');
    const outcomes = new Map<string, number>();
    for (let turn = 0; turn < 1000; turn++) {
      const changed = new Uint8Array(bytes);
      for (let flips = 1 + random.below(3); flips > 0; flips--)
        changed[random.below(320)]! ^= 1 << random.below(8);
      if (Buffer.compare(changed, bytes) === 0) continue;
      const outcome = outcomeOf(changed, expected);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].every((outcome) => ['refused', 'nothing', 'the sum'].includes(outcome))).toBe(
      true,
    );
    expect(outcomes.get('refused')).toBeGreaterThan(300);
  });

  test('any change of any place is refused, opens nothing, or leaves the sum or another that is whole (property)', () => {
    const bytes = sealed();
    const expected = fingerprint(read(bytes).aggregate!);
    const place = fc.integer({ min: 0, max: bytes.length - 1 });
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = new Uint8Array(bytes);
        changed[at]! ^= change;
        expect(['refused', 'nothing', 'the sum', 'another']).toContain(outcomeOf(changed, expected));
      }),
      { numRuns: 300 },
    );
  });

  test('no cut, and no byte more, is read (property)', () => {
    const bytes = sealed();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), (length) => {
        expect(outcomeOf(bytes.slice(0, length), '')).toBe('refused');
        const inner = unframed(bytes)!;
        expect(outcomeOf(framed(inner.subarray(0, Math.min(length, inner.length - 1))), '')).toBe('refused');
      }),
      { numRuns: 2000 },
    );
    expect(outcomeOf(Buffer.concat([bytes, Uint8Array.of(0)]), '')).toBe('refused');
    expect(outcomeOf(framed(unframed(bytes)!, Uint8Array.of(0)), '')).toBe('refused');
  });

  /** What comes of reading bytes; throws for any error but the known one. */
  function outcomeOf(bytes: Uint8Array, expected: string): string {
    try {
      const { aggregate } = read(bytes);
      if (aggregate === null) return 'nothing';
      return fingerprint(aggregate) === expected ? 'the sum' : 'another';
    } catch (thrown) {
      if (thrown instanceof PluralError && thrown.code === 'AGGREGATOR_UNTRUSTED') return 'refused';
      throw thrown;
    }
  }
});

test('the aggregator takes no clear share where it is to hold ciphertext, and no sealed one where it opens', () => {
  const plain = new ProtectedRound({ protection: clear, updates: updatesOf(5, PARAMETERS), context });
  const round = heldRound();
  for (let step = 0; step < STEP.open; step++) {
    plain.playStep(step);
    round.playStep(step);
  }
  const [share, answer] = [plain, round].map((each) => each.answer(STEP.open, 'g0'));
  const malformed = expect.objectContaining({ code: 'UPDATE_MALFORMED' });
  expect(() => round.take(STEP.open, asStage({ ...share! }))).toThrow(malformed);
  expect(() => plain.take(STEP.open, asStage({ ...answer! }))).toThrow(malformed);
});

test('hundreds of changed answers are refused with a known code, or open nothing and are named', () => {
  const round = heldRound();
  for (let step = 0; step < STEP.open; step++) round.playStep(step);
  const answer = round.answer(STEP.open, 'g0');
  const random = randomStream(8, 'answers');
  const codes = new Set<unknown>();
  for (let turn = 0; turn < 500; turn++) {
    const payload = new Uint8Array(answer.payload);
    const at = random.below(turn % 2 === 0 ? 64 : payload.length);
    payload[at]! ^= 1 << random.below(8);
    codes.add(
      codeOf(() => round.collection.screen(STEP.open, asStage({ ...answer, payload }), '')) ?? 'taken',
    );
  }
  expect([...codes].map(String).sort()).toEqual(['ROUND_REFUSED', 'UPDATE_MALFORMED', 'taken']);
});
