import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Gate } from '../../src/server/gate.ts';

test('at most so many run at once, in order, also when some fail', async () => {
  const gate = new Gate(2);
  let running = 0;
  let most = 0;
  const begun: number[] = [];
  const results = await Promise.allSettled(
    Array.from({ length: 9 }, (_, index) =>
      gate.run(async () => {
        begun.push(index);
        most = Math.max(most, ++running);
        await setTimeout(1);
        running--;
        if (index % 3 === 0) throw new Error('failed');
        return index;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(3);
  expect(await gate.run(async () => 'still open')).toBe('still open');
});
