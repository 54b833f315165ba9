import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forEachOrdered, mapOrdered } from '../../src/core/concurrent.ts';
import { randomStream } from '../../src/core/random.ts';

/** Resolves after a number of turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

describe('forEachOrdered', () => {
  test('results come in the order of the items, and at most `limit` are under way (property)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(5), { maxLength: 20 }),
        fc.integer({ min: 1, max: 6 }),
        async (items, limit) => {
          let underWay = 0;
          let most = 0;
          const seen: [number, number][] = [];
          await forEachOrdered(
            items,
            limit,
            async (item) => {
              most = Math.max(most, ++underWay);
              await turns(item);
              return item * 10;
            },
            (result, item) => {
              underWay--;
              seen.push([item, result]);
            },
          );
          expect(seen).toEqual(items.map((item) => [item, item * 10]));
          expect(most).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('works ahead as far as the limit allows', async () => {
    let started = 0;
    let startedAtFirst = 0;
    const count = () => {
      started++;
      return Promise.resolve();
    };
    await forEachOrdered([1, 2, 3, 4, 5], 3, count, () => {
      startedAtFirst ||= started;
    });
    expect(startedAtFirst).toBe(3);
    expect(started).toBe(5);
  });

  test('throws the first failure in order and starts nothing after it', async () => {
    const started: number[] = [];
    const work = async (item: number) => {
      started.push(item);
      await turns(item === 2 ? 5 : 1);
      if (item >= 2) throw new Error(`item ${item}`);
      return item;
    };
    // Item 3 fails earlier, but item 2 comes before it.
    await expect(mapOrdered([1, 2, 3, 4, 5, 6], 3, work)).rejects.toThrow('item 2');
    await turns(10);
    expect(started).toEqual([1, 2, 3, 4]);
  });

  test('a failing consumer ends it', async () => {
    const items = randomStream(0).shuffled([1, 2, 3]);
    const consume = () => Promise.reject(new Error('full'));
    await expect(forEachOrdered(items, 2, async (item) => item, consume)).rejects.toThrow('full');
  });
});

test('mapOrdered of nothing is nothing', async () => {
  expect(await mapOrdered([], 4, async () => 1)).toEqual([]);
});
