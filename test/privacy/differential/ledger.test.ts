import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../../src/core/digest.ts';
import { localSigmaFor, spendOf } from '../../../src/privacy/differential/calibrate.ts';
import {
  type LedgerEntry,
  openLedger,
  spend,
  spentEpsilon,
} from '../../../src/privacy/differential/ledger.ts';
import { type Ledger, ledgerSchema } from '../../../src/privacy/differential/ledger-schema.ts';
import { DEFAULT_ORDERS, epsilonOf, rdpOfGaussian } from '../../../src/privacy/differential/rdp.ts';

const RUNS = ['a', 'b', 'c'].map((name) => sha256(name));
const CURVES = [5, 6, 7.5].map((noise) => rdpOfGaussian(noise, DEFAULT_ORDERS));
const DELTA = 1e-6;
const AMPLE = { epsilon: 1e6, delta: DELTA };

function entryOf(run: number, round: number, attempt: number): LedgerEntry {
  // One curve for each key, and neighbouring rounds with the same one as often as not.
  const rdp = CURVES[(run + attempt + (round >> 2)) % CURVES.length]!;
  return { run: RUNS[run]!, round, attempt, rdp };
}

const entry = fc
  .tuple(fc.nat(RUNS.length - 1), fc.nat(12), fc.nat(1))
  .map(([run, round, attempt]) => entryOf(run, round, attempt));
const entries = fc.array(entry, { maxLength: 60 });

const keyOf = ({ run, round, attempt }: LedgerEntry) => `${run} ${round} ${attempt}`;

/** What the ledger must say, from the entries themselves. */
function plainEpsilon(all: readonly LedgerEntry[]): number {
  const distinct = [...new Map(all.map((entry) => [keyOf(entry), entry])).values()];
  if (distinct.length === 0) return 0;
  const rdp = DEFAULT_ORDERS.map((_, order) => distinct.reduce((sum, entry) => sum + entry.rdp[order]!, 0));
  return epsilonOf({ orders: DEFAULT_ORDERS, rdp, delta: DELTA });
}

const spendAll = (all: readonly LedgerEntry[], ledger: Ledger = openLedger(AMPLE)) =>
  all.reduce(spend, ledger);

describe('spend', () => {
  test('adds up what is entered, each attempt once', () => {
    fc.assert(
      fc.property(entries, (all) => {
        const expected = plainEpsilon(all);
        expect(Math.abs(spentEpsilon(spendAll(all)) - expected)).toBeLessThanOrEqual(1e-12 * expected);
      }),
    );
  });

  test('changes nothing when it is repeated, and nothing that was there before', () => {
    fc.assert(
      fc.property(entries, entry, (all, entry) => {
        const ledger = spendAll(all);
        const before = JSON.stringify(ledger);
        const once = spend(ledger, entry);
        expect(JSON.stringify(ledger)).toBe(before);
        expect(spend(once, entry)).toBe(once);
        for (const earlier of all) expect(spend(once, earlier)).toBe(once);
      }),
    );
  });

  test('does not care for the order of entries', () => {
    const shuffled = entries.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, ([all, other]) => {
        const [a, b] = [spendAll(all), spendAll(other)];
        expect(spentEpsilon(a)).toBeCloseTo(spentEpsilon(b), 9);
        const spansOf = ({ runs }: Ledger) =>
          new Map(runs.map(({ run, spans }) => [run, spans.map(({ curve: _, ...span }) => span)]));
        expect(spansOf(a)).toEqual(spansOf(b));
      }),
    );
  });

  test('never exceeds the budget, and a refusal leaves the ledger as it was', () => {
    fc.assert(
      fc.property(entries, fc.double({ min: 0.5, max: 6, noNaN: true }), (all, epsilon) => {
        let ledger = openLedger({ epsilon, delta: DELTA });
        const taken: LedgerEntry[] = [];
        for (const entry of all) {
          try {
            ledger = spend(ledger, entry);
            taken.push(entry);
          } catch (error) {
            expect(error).toMatchObject({ code: 'PRIVACY_BUDGET_SPENT' });
            expect(plainEpsilon([...taken, entry])).toBeGreaterThan(epsilon * (1 - 1e-12));
          }
        }
        expect(spentEpsilon(ledger)).toBeLessThanOrEqual(epsilon);
        expect(plainEpsilon(taken)).toBeCloseTo(spentEpsilon(ledger), 9);
      }),
    );
  });

  test('fits the rounds that the noise was calibrated for, and refuses one more with all figures', () => {
    const run = { clipSteps: 500, dimension: 1000, honestSurvivors: 5, beta: 0.5, rounds: 40, delta: DELTA };
    const localSigma = localSigmaFor({ ...run, epsilon: 4 });
    const rdp = spendOf({ ...run, localSigma }).rdpPerRound;
    const at = (round: number): LedgerEntry => ({ run: RUNS[0]!, round, attempt: 0, rdp });
    const rounds = Array.from({ length: 40 }, (_, index) => at(index + 1));
    const full = spendAll(rounds, openLedger({ epsilon: 4, delta: DELTA }));
    expect(spentEpsilon(full)).toBeCloseTo(4, 6);
    expect(spend(full, at(7))).toBe(full);
    expect(() => spend(full, at(41))).toThrow(
      expect.objectContaining({
        code: 'PRIVACY_BUDGET_SPENT',
        message: expect.stringMatching(
          /^epsilon 4 is spent, round 41, attempt 0 of run [0-9a-f]{12} would make it 4\.0\d+, and the budget is 4 at delta 0\.000001$/,
        ),
        hint: expect.stringContaining('for the group to decide'),
      }),
    );
    // Another run, or another attempt at a round, is no way around it.
    expect(() => spend(full, { ...at(1), attempt: 1 })).toThrow();
    expect(() => spend(full, { ...at(1), run: RUNS[1]! })).toThrow();
  });

  test.each([
    ['another RDP for the same attempt', { rdp: CURVES[1]! }],
    ['RDP at other orders', { round: 9, rdp: [1, 2] }],
    ['RDP that is infinite', { round: 9, rdp: DEFAULT_ORDERS.map(() => Number.POSITIVE_INFINITY) }],
    ['RDP that is NaN', { round: 9, rdp: DEFAULT_ORDERS.map(() => Number.NaN) }],
    ['RDP below 0', { round: 9, rdp: DEFAULT_ORDERS.map(() => -1) }],
    ['a run without digest', { run: 'quickstart' }],
    ['a round that is no number of a round', { round: 1.5 }],
    ['an attempt below 0', { attempt: -1 }],
  ])('breaks on %s', (_, change) => {
    const first = { run: RUNS[0]!, round: 3, attempt: 0, rdp: CURVES[0]! };
    const ledger = spend(openLedger(AMPLE), first);
    expect(() => spend(ledger, { ...first, ...change })).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('the stored ledger', () => {
  const stored = (ledger: Ledger): unknown => JSON.parse(JSON.stringify(ledger));

  test('is read as it was written, to the last bit', () => {
    fc.assert(
      fc.property(entries, (all) => {
        const ledger = spendAll(all);
        const read = ledgerSchema.parse(stored(ledger));
        expect(read).toEqual(ledger);
        expect(spentEpsilon(read)).toBe(spentEpsilon(ledger));
        for (const entry of all) expect(spend(read, entry)).toBe(read);
      }),
    );
  });

  test('of 10,000 rounds is as small as that of one', () => {
    const rounds = Array.from({ length: 10_000 }, (_, round) => ({ ...entryOf(0, 0, 0), round }));
    const ledger = spendAll(rounds);
    expect(ledger.runs).toEqual([{ run: RUNS[0], spans: [{ attempt: 0, first: 0, last: 9999, curve: 0 }] }]);
    expect(JSON.stringify(ledger).length).toBeLessThan(8000);
    expect(spend(ledger, rounds[5000]!)).toBe(ledger);
  });

  test('grows by a few numbers where rounds were missed or retried', () => {
    const every2nd = Array.from({ length: 100 }, (_, i) => ({ ...entryOf(0, 0, 0), round: 2 * i }));
    const missed = spendAll(every2nd);
    expect(missed.runs[0]?.spans).toHaveLength(100);
    expect(missed.curves).toHaveLength(1);
    const between = every2nd.slice(1).map((entry) => ({ ...entry, round: entry.round - 1 }));
    expect(spendAll(between, missed).runs[0]?.spans).toEqual([{ attempt: 0, first: 0, last: 198, curve: 0 }]);
  });

  const ledger = spendAll([entryOf(0, 1, 0), entryOf(0, 2, 0), entryOf(0, 1, 1), entryOf(1, 5, 0)]);
  const [run, other] = ledger.runs;
  const span = { attempt: 0, first: 1, last: 2, curve: 0 };
  test.each([
    ['a version to come', { version: 2 }],
    ['a budget without delta', { budget: { epsilon: 1 } }],
    ['a delta of 1', { budget: { epsilon: 1, delta: 1 } }],
    ['no orders', { orders: [], curves: [], runs: [] }],
    ['a curve of another length', { curves: [[1, 2, 3]] }],
    ['a curve that is no number', { curves: ledger.curves.map((curve) => curve.map(() => null)) }],
    ['a span of a curve that is not there', { runs: [{ ...run, spans: [{ ...span, curve: 9 }] }] }],
    ['a span that ends before it starts', { runs: [{ ...run, spans: [{ ...span, last: 0 }] }] }],
    ['a round in two spans', { runs: [{ ...run, spans: [span, { ...span, first: 2, last: 4 }] }] }],
    ['the same span twice', { runs: [{ ...run, spans: [span, span] }] }],
    ['a run without rounds', { runs: [{ ...run, spans: [] }] }],
    ['a run twice', { runs: [run, other, run] }],
    ['a member that it does not know', { spent: 0 }],
  ])('is refused with %s', (_, change) => {
    expect(ledgerSchema.safeParse(stored(ledger)).success).toBe(true);
    expect(ledgerSchema.safeParse({ ...ledger, ...change }).success).toBe(false);
  });
});

describe('spentEpsilon', () => {
  test('is 0 for a new ledger', () => {
    expect(spentEpsilon(openLedger({ epsilon: 1, delta: 1e-12 }))).toBe(0);
  });
});
