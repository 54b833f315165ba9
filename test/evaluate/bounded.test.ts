import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { mapBounded } from '../../src/evaluate/bounded.ts';

describe('mapBounded', () => {
  test('keeps the order of the items and the bound', async () => {
    let running = 0;
    let most = 0;
    const results = await mapBounded([5, 1, 4, 2, 3, 0], 3, async (ms) => {
      running++;
      most = Math.max(most, running);
      await sleep(ms);
      running--;
      return ms * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30, 0]);
    expect(most).toBe(3);
  });

  test('throws the error of the first failed item, not of the first to fail, and starts nothing after it', async () => {
    const started: number[] = [];
    const failing = mapBounded([0, 1, 2, 3, 4], 2, async (item) => {
      started.push(item);
      await sleep(item === 0 ? 10 : 1);
      throw new Error(`item ${item}`);
    });
    await expect(failing).rejects.toThrow('item 0');
    expect(started).toEqual([0, 1]);
  });

  test('nothing in, nothing out', async () => {
    expect(await mapBounded([], 4, async () => 1)).toEqual([]);
  });
});
