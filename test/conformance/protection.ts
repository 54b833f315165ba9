import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Collection, ProtectionKind } from '../../src/privacy/protection.ts';
import { isSignedBy } from '../../src/wire/identity.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../../src/wire/stages.ts';
import { collectionStepSchema } from '../../src/wire/step.ts';
import {
  contextOf,
  identityIn,
  ProtectedRound,
  type RoundOptions,
  SHAPE,
  updateOf,
} from '../support/protected-round.ts';

/** What the suite needs to know about a protection. */
export interface ProtectionCase {
  readonly kind: ProtectionKind;
  /** With room for `groups` groups at least. */
  readonly options: Readonly<Record<string, unknown>>;
  /** How many groups a round of the suite has: so many that one of them may be lost. At least 4. */
  readonly groups: number;
  /** Weights and numbers that a group may have; no number is so large that it is cut. */
  readonly weight: fc.Arbitrary<number>;
  readonly number: fc.Arbitrary<number>;
  /** How far an update of some weight may be off, in the total weight, in the sum of weighted numbers and in that of the scores. */
  readonly off: {
    readonly weight: number;
    readonly product: (weight: number) => number;
    readonly score: number;
  };
  /** What a reply to a step is that has a byte too many or too few. */
  readonly misshapen: (step: number) => ErrorCode;
  /** Updates that only this protection does not let into a sum, beside those that none may. */
  readonly unfit: readonly Unfit[];
  /** How many random rounds a property is tried on. */
  readonly runs: number;
}

export type Unfit = readonly [name: string, code: ErrorCode, weight: number, delta: readonly number[]];

export const PARAMETERS = 5;
const context = contextOf(PARAMETERS);

/** Clear updates that no protection may let into a sum. */
const UNFIT: readonly Unfit[] = [
  ['too few numbers', 'UPDATE_LENGTH', 1, [0.1, 0.2, 0.3, 0.4]],
  ['too many numbers', 'UPDATE_LENGTH', 1, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]],
  ['NaN', 'UPDATE_NOT_FINITE', 1, [0.1, 0.2, Number.NaN, 0.4, 0.5]],
  ['Infinity', 'UPDATE_NOT_FINITE', 1, [0.1, 0.2, 0.3, 0.4, Number.POSITIVE_INFINITY]],
  ['-Infinity', 'UPDATE_NOT_FINITE', 1, [Number.NEGATIVE_INFINITY, 0.2, 0.3, 0.4, 0.5]],
];

/** Ways to spoil a reply. */
type Spoil = readonly [
  name: string,
  code: ErrorCode | 'misshapen',
  spoil: (reply: ProtectedUpdate) => Partial<ProtectedUpdate>,
];

/** What can be seen of a reply by itself. */
const SPOILT: readonly Spoil[] = [
  ['a payload cut short', 'misshapen', ({ payload }) => ({ payload: payload.subarray(0, -1) })],
  [
    'a payload with a byte more',
    'misshapen',
    ({ payload }) => ({ payload: Buffer.concat([payload, Uint8Array.of(0)]) }),
  ],
  ['no payload', 'misshapen', () => ({ payload: new Uint8Array() })],
  ['the payload of another protection', 'ROUND_REFUSED', () => ({ protection: 'another' })],
];
const ANOTHER_ROUND: Spoil = ['another round', 'ROUND_REFUSED', ({ round }) => ({ round: round - 1 })];

/** What of an aggregate must not depend on the order, bit by bit. */
export function fingerprint({ round, weightedSum, totalWeight, scores, groups }: Aggregate): string {
  const sum = Buffer.from(bytesOf(weightedSum)).toString('hex');
  return JSON.stringify([round, sum, totalWeight, scores, groups]);
}

export function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The same bytes, at an odd place of a larger buffer of their own. */
function elsewhere(reply: ProtectedUpdate): { reply: ProtectedUpdate; overwrite: () => void } {
  const larger = new Uint8Array(reply.payload.length + 8).fill(0xaa);
  larger.set(reply.payload, 3);
  const payload = larger.subarray(3, 3 + reply.payload.length);
  return { reply: asStage({ ...reply, payload }), overwrite: () => void larger.fill(0xff) };
}

/** What every protection promises; called from the test of each. */
export function protectionConformance(given: ProtectionCase): void {
  const { kind, options, groups: count, runs, off } = given;
  const protection = kind.create(options, SHAPE);
  beforeAll(() => protection.prepare());
  const { updateStep, steps } = protection;
  const eachStep = steps.map(({ name }, step) => [name, step] as const);

  const member = fc.record({
    weight: given.weight,
    delta: fc.array(given.number, { minLength: PARAMETERS, maxLength: PARAMETERS }),
    score: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  });
  const updatesOf = (most: number): fc.Arbitrary<Update[]> =>
    fc
      .array(member, { minLength: Math.max(1, protection.groups.least), maxLength: most })
      .map((members) =>
        members.map(({ weight, delta, score }, index) => updateOf(`g${index}`, weight, delta, { score })),
      );
  const some: readonly Update[] = Array.from({ length: count }, (_, index) =>
    updateOf(`g${index}`, 1 + index, [0.5, -0.25, 0, 0.125 * index, -0.1]),
  );

  const roundOf = (updates: readonly Update[], more: Partial<RoundOptions> = {}): ProtectedRound =>
    new ProtectedRound({ protection, updates, context, ...more });
  /** A round whose steps before one are over. */
  const roundAt = (step: number, updates: readonly Update[] = some): ProtectedRound => {
    const round = roundOf(updates);
    for (let before = 0; before < step; before++) round.playStep(before);
    return round;
  };
  /** Plays what is left of a round. */
  const finish = (round: ProtectedRound): Aggregate => {
    while (round.state.phase === 'collecting') round.playStep(round.state.step);
    return round.collection.finish();
  };
  const screen = ({ collection }: ProtectedRound, step: number, reply: ProtectedUpdate) =>
    collection.screen(step, reply, identityIn(reply.group).publicKey);

  describe(`conformance of protection "${kind.name}" ${JSON.stringify(options)}`, () => {
    test('says what it is, and refuses options that it does not know', () => {
      const { name, reveals } = kind;
      expect(protection).toMatchObject({ name, reveals, steps: kind.steps, updateStep: kind.updateStep });
      expect(steps.map((step) => collectionStepSchema.parse(step))).toEqual(steps);
      expect(new Set(steps.map((step) => step.name)).size).toBe(steps.length);
      expect(steps[0]?.from).toBe('participants');
      expect(steps[updateStep]).toBeDefined();
      expect(protection.groups.least).toBeGreaterThanOrEqual(1);
      expect(protection.groups.most).toBeGreaterThanOrEqual(count);
      expect(kind.describe.length).toBeGreaterThan(10);
      expect(kind.options.safeParse({ ...options, no_such_option: 1 }).success).toBe(false);
    });

    test('asked twice a group gives the same bytes, and so does one that begins anew; nothing is JSON', () => {
      const before = some.map(({ delta }) => delta.slice());
      const [first, second] = [roundOf(some), roundOf(some)];
      for (const step of steps.keys()) {
        for (const group of first.waitedFor(step)) {
          const once = first.answer(step, group);
          expect(once).toMatchObject({ group, round: context.round, protection: kind.name });
          expect(hexOf(first.answer(step, group).payload)).toBe(hexOf(once.payload));
          expect(hexOf(second.reply(step, group).payload)).toBe(hexOf(once.payload));
          expect(hexOf(first.collection.show(step, group))).toBe(hexOf(first.shown[step]!.get(group)!));
          expect(hexOf(second.shown[step]!.get(group)!)).toBe(hexOf(first.shown[step]!.get(group)!));
          for (const bytes of [once.payload, first.shown[step]!.get(group)!]) {
            expect(bytes).toBeInstanceOf(Uint8Array);
            expect(() => JSON.parse(Buffer.from(bytes).toString('utf8'))).toThrow();
          }
          first.take(step, once);
        }
        first.endStep(step);
        second.endStep(step);
      }
      expect(some.map(({ delta }) => delta)).toEqual(before);
    });

    test('a group that was killed before a step and has what it was shown gives the same bytes', () => {
      const round = roundAt(0);
      for (const step of steps.keys()) round.playStep(step);
      const [{ group }] = some as [Update];
      for (const [step, replies] of round.replies.entries()) {
        const again = protection.join({
          context,
          group,
          identity: identityIn(group),
          secret: Buffer.from(sha256('secret', group, JSON.stringify(context)), 'hex'),
          heard: (heard) => round.shown[heard]!.get(group)!,
          peers: { least: 1, trusts: () => true },
          verify: isSignedBy,
        });
        const payload = again.answer(step, step === updateStep ? some[0]! : null);
        expect(hexOf(payload)).toBe(hexOf(replies.get(group)!.payload));
      }
    });

    test('the sum is the plain sum, as near as the protection says (property)', () => {
      fc.assert(
        fc.property(updatesOf(count), (updates) => {
          const { round, weightedSum, totalWeight, scores, groups } = roundOf(updates).play();
          expect({ round, groups }).toEqual({
            round: context.round,
            groups: updates.map(({ group }) => group),
          });
          const total = (of: (update: Update) => number) => updates.reduce((sum, each) => sum + of(each), 0);
          // 1e-11 is what float64 loses in the plain sum that this is held against.
          const near = (found: number, plain: number, within: number) =>
            expect(Math.abs(found - plain)).toBeLessThanOrEqual(within + 1e-11);
          near(
            totalWeight,
            total(({ weight }) => weight),
            updates.length * off.weight,
          );
          const within = total(({ weight }) => off.product(weight));
          expect(weightedSum).toHaveLength(PARAMETERS);
          for (let i = 0; i < PARAMETERS; i++) {
            near(
              weightedSum[i]!,
              total(({ weight, delta }) => weight * delta[i]!),
              within,
            );
          }
          const told = updates.filter(({ score }) => score !== null);
          if (protection.reveals === 'rows' || told.length === 0) {
            expect(scores).toBeNull();
            return;
          }
          expect(scores!.groups).toBe(told.length);
          near(
            scores!.sum,
            total(({ score }) => score ?? 0),
            told.length * off.score,
          );
          near(
            scores!.sumOfSquares,
            total(({ score }) => (score ?? 0) ** 2),
            told.length * off.score,
          );
        }),
        { numRuns: runs },
      );
    });

    test('not a bit of the sum depends on the order of replies (property, all orders of four)', () => {
      const orders = permutations([0, 1, 2, 3]);
      const four = updatesOf(4).filter((updates) => updates.length === 4);
      fc.assert(
        fc.property(four, (updates) => {
          const sums = orders.map((_, turn) =>
            roundOf(updates, {
              // Another order in each step, and each order once in every step.
              order: (step, groups) => orders[(turn + 7 * step) % orders.length]!.map((at) => groups[at]!),
            }).play(),
          );
          expect(new Set(sums.map(fingerprint)).size).toBe(1);
        }),
        { numRuns: Math.ceil(runs / 5) },
      );
    });

    test('nor on the order in which groups joined, nor on where a reply stands in memory, nor on what becomes of that memory', () => {
      const expected = fingerprint(roundOf(some).play());
      expect(fingerprint(roundOf(some.toReversed()).play())).toBe(expected);
      const round = roundOf(some);
      for (const step of steps.keys()) {
        for (const group of round.waitedFor(step)) {
          const { reply, overwrite } = elsewhere(round.answer(step, group));
          round.take(step, reply);
          overwrite();
        }
        round.endStep(step);
      }
      expect(fingerprint(round.collection.finish())).toBe(expected);
    });

    test('a group that falls silent before its update is not in the sum; one that does after it is', () => {
      const lost = 'g1';
      const playedWithout = (from: number) =>
        roundOf(some, { silentBefore: new Map([[from, [lost]]]) }).play();
      const others = some.filter(({ group }) => group !== lost);
      for (const step of steps.keys()) {
        const { groups, totalWeight } = playedWithout(step);
        const summed = step <= updateStep ? others : some;
        expect(groups, `silent before step ${step}`).toEqual(summed.map(({ group }) => group));
        const weight = summed.reduce((sum, each) => sum + each.weight, 0);
        expect(Math.abs(totalWeight - weight)).toBeLessThanOrEqual(count * off.weight);
      }
    });

    test('what a step shows and takes follows from the steps before it, with notes in place of the updates', () => {
      const played = roundOf(some);
      played.play();
      const again = protection.collect(context);
      for (const [step, replies] of played.replies.entries()) {
        for (const [group, reply] of replies) {
          expect(hexOf(again.show(step, group))).toBe(hexOf(played.shown[step]!.get(group)!));
          const share = again.screen(step, reply, identityIn(group).publicKey);
          expect(share).toBe(screen(played, step, reply));
        }
        if (step + 1 === steps.length) continue;
        for (const [group, reply] of replies) {
          if (step === updateStep) {
            // As it comes back from a database, in memory that is used again.
            const note = Buffer.from(played.collection.noteOf(step, reply));
            expect(note.byteLength).toBeLessThan(1000);
            again.recall(step, group, note);
            note.fill(0xff);
          } else again.add(step, reply);
        }
        again.close(step, [...replies.keys()].sort());
      }
    });

    test('a sum of stored replies, looked at by nobody, is the same', () => {
      const played = roundOf(some);
      const expected = fingerprint(played.play());
      const again = protection.collect(context);
      for (const [step, replies] of played.replies.entries()) {
        for (const reply of [...replies.values()].reverse()) again.add(step, reply);
        again.close(step, [...replies.keys()].sort());
      }
      expect(fingerprint(again.finish())).toBe(expected);
    });

    const codeOf = (code: ErrorCode | 'misshapen', step: number) =>
      expect.objectContaining({ code: code === 'misshapen' ? given.misshapen(step) : code });

    describe.each(eachStep)('in step "%s"', (_, step) => {
      const undisturbed = () => fingerprint(roundOf(some).play());

      /** Something is tried in the middle of a step; the sum goes on as if it had not been. */
      const expectNoTrace = (
        refusal: unknown,
        attempt: (collection: Collection, reply: ProtectedUpdate, taken: ProtectedUpdate) => void,
      ) => {
        const round = roundAt(step);
        const [first, second, ...rest] = round.waitedFor(step) as [string, string, ...string[]];
        const taken = round.reply(step, first);
        const reply = round.answer(step, second);
        expect(() => attempt(round.collection, reply, taken)).toThrow(refusal as Error);
        round.take(step, reply);
        for (const group of rest) round.reply(step, group);
        round.endStep(step);
        expect(fingerprint(finish(round))).toBe(undisturbed());
      };

      test.each([...SPOILT, ANOTHER_ROUND])('%s is %s and leaves no trace', (_name, code, spoil) => {
        expectNoTrace(codeOf(code, step), (collection, reply) =>
          collection.add(step, asStage({ ...reply, ...spoil(reply) })),
        );
      });

      test.each(SPOILT)('%s is %s also when it is screened', (_name, code, spoil) => {
        expectNoTrace(codeOf(code, step), (collection, reply) =>
          collection.screen(step, asStage({ ...reply, ...spoil(reply) }), identityIn(reply.group).publicKey),
        );
      });

      test('a group that replied already is ROUND_REFUSED and leaves no trace', () => {
        expectNoTrace(codeOf('ROUND_REFUSED', step), (collection, _reply, taken) =>
          collection.add(step, taken),
        );
      });

      test('screening takes nothing in', () => {
        const round = roundAt(step);
        for (const group of round.waitedFor(step)) {
          const reply = round.answer(step, group);
          for (let times = 0; times < 3; times++) screen(round, step, reply);
          round.take(step, reply);
        }
        round.endStep(step);
        expect(fingerprint(finish(round))).toBe(undisturbed());
      });

      test('replies that together take less than the capacity of a round are all taken (property)', () => {
        fc.assert(
          fc.property(updatesOf(count), (updates) => {
            const round = roundAt(step, updates);
            let taken = 0;
            for (const group of round.waitedFor(step)) {
              const reply = round.answer(step, group);
              const share = screen(round, step, reply);
              expect(share).toBeGreaterThan(0);
              expect(share).toBeLessThan(1);
              if (taken + share >= 1) continue;
              taken += share;
              expect(() => round.collection.add(step, reply)).not.toThrow();
            }
          }),
          { numRuns: Math.ceil(runs / 2) },
        );
      });
    });

    describe('an update that must not be in a sum', () => {
      test.each([...UNFIT, ...given.unfit])('%s is %s and leaves no trace', (_, code, weight, delta) => {
        const bad = 'g1';
        const updates = some.map((update) => (update.group === bad ? updateOf(bad, weight, delta) : update));
        const refused = codeOf(code, updateStep);
        for (const look of [true, false]) {
          const round = roundOf(updates);
          for (let step = 0; step < updateStep; step++) round.playStep(step);
          for (const group of round.waitedFor(updateStep)) {
            if (group !== bad) round.reply(updateStep, group);
            else if (look)
              expect(() => screen(round, updateStep, round.answer(updateStep, bad))).toThrow(refused);
            else
              expect(() => round.collection.add(updateStep, round.answer(updateStep, bad))).toThrow(refused);
          }
          round.endStep(updateStep);
          for (let step = updateStep + 1; step < steps.length; step++) round.playStep(step);
          const without = roundOf(some, { silentBefore: new Map([[updateStep, [bad]]]) });
          expect(fingerprint(round.collection.finish())).toBe(fingerprint(without.play()));
        }
      });
    });
  });
}
