import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { QueryBudget, type Spent } from '../../src/sharding/keeper/query-budget.ts';

const GROUPS = ['a', 'b'] as const;

/** A keeper's budgets with what it has on its disk. */
class Disk {
  readonly most: number;
  spent: Spent | null = null;
  writes = 0;
  budget: QueryBudget;

  constructor(most: number) {
    this.most = most;
    this.budget = this.open();
  }

  /** The keeper is started, or started again. */
  open(): QueryBudget {
    const store = (spent: Spent) => {
      this.spent = structuredClone(spent);
      this.writes++;
    };
    this.budget = new QueryBudget({ most: this.most, spent: this.spent, store });
    return this.budget;
  }

  isAnswered(group: string): boolean {
    try {
      this.budget.count(group);
      return true;
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'FRAME_REFUSED' });
      return false;
    }
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...GROUPS) },
    { weight: 1, arbitrary: fc.constantFrom('started again', 'killed in the middle of a round') },
    { weight: 1, arbitrary: fc.constant('next round' as const) },
    { weight: 1, arbitrary: fc.constant('same round' as const) },
  ),
  { maxLength: 200 },
);

describe('budgets of predictions', () => {
  test('are never exceeded in a round, however often the keeper is started again, and lose one part each time (property)', () => {
    fc.assert(
      fc.property(fc.nat(40), steps, (most, taken) => {
        const disk = new Disk(most);
        let [round, starts] = [0, 0];
        const answered = new Map<string, number>();
        for (const step of taken) {
          if (step === 'started again' || step === 'killed in the middle of a round') {
            const budget = disk.open();
            // What it stored of its stage may be of the round before, which is then begun again.
            if (step !== 'started again') budget.begin(Math.max(0, round - 1));
            budget.begin(round);
            starts++;
          } else if (step === 'next round') {
            disk.budget.begin(++round);
            answered.clear();
            starts = 0;
          } else if (step === 'same round') disk.budget.begin(round);
          else {
            const before = answered.get(step) ?? 0;
            const isAnswered = disk.isAnswered(step);
            if (isAnswered) answered.set(step, before + 1);
            expect(before + (isAnswered ? 1 : 0)).toBeLessThanOrEqual(most);
            const lost = starts * Math.max(0, Math.ceil(most / 16) - 1);
            if (!isAnswered) expect(before).toBeGreaterThanOrEqual(most - lost);
          }
        }
      }),
    );
  });

  test('are stored in few writes, and each before the answers that it is of', () => {
    const disk = new Disk(1000);
    for (let pass = 1; pass <= 1000; pass++) {
      expect(disk.isAnswered('a')).toBe(true);
      expect(new Map(disk.spent!.passes).get('a')).toBeGreaterThanOrEqual(pass);
    }
    expect(disk.isAnswered('a')).toBe(false);
    expect(disk.writes).toBeLessThanOrEqual(16);
    expect(disk.spent).toEqual({ round: 0, passes: [['a', 1000]] });
  });

  test('that cannot be stored give no answer, and nothing is spent', () => {
    let isFull = true;
    const full = new Error('the disk is full');
    const store = () => {
      if (isFull) throw full;
    };
    const budget = new QueryBudget({ most: 1, spent: null, store });
    expect(() => budget.count('a')).toThrow(full);
    isFull = false;
    budget.count('a');
    expect(() => budget.count('a')).toThrow(expect.objectContaining({ code: 'FRAME_REFUSED' }));
  });
});
