import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Gate } from '../../src/server/gate.ts';
import { WorkMemory } from '../../src/server/work-memory.ts';

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

test('who runs at the same time has memory of his own, and who comes later has the same again', async () => {
  const gate = new Gate(2);
  const blocks = new Set<ArrayBufferLike>();
  const work = (_: unknown, mark: number) =>
    gate.run(async (memory) => {
      const bytes = memory.take(1000);
      bytes.writeDoubleLE(mark, 8);
      await setTimeout(1);
      expect(bytes.readDoubleLE(8)).toBe(mark);
      blocks.add(bytes.buffer);
    });
  await Promise.all(Array.from({ length: 10 }, work));
  expect(blocks.size).toBe(2);
});

test('memory grows with what is asked of it, and gives no more than that', () => {
  const memory = new WorkMemory();
  expect([10, 1000, 10].map((bytes) => memory.take(bytes).byteLength)).toEqual([10, 1000, 10]);
  expect(memory.take(500).buffer).toBe(memory.take(1000).buffer);
});
