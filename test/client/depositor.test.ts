import { expect, test } from 'vitest';
import { Depositor } from '../../src/client/sharding/depositor.ts';
import { PluralError } from '../../src/core/errors.ts';
import type { LeftDeposit } from '../../src/sharding/keeper/deposits.ts';

// How a keeper brings its stage to the aggregator while the training goes on.

const depositOf = (round: number, epoch = 0): LeftDeposit => ({
  header: {
    ...{ run: '0'.repeat(64), stage: 0, epoch, round, id: `${round}`.padStart(32, '0') },
    ...{ from: 'a'.repeat(64), marks: [] },
  },
  bytes: Uint8Array.of(round),
  shares: [Uint8Array.of(100 + round)],
});

/** A depositor whose requests end when the test says so. */
function started(isCurrent = () => true) {
  const said: string[] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const depositor = new Depositor({
    leave: (bytes) => {
      said.push(`left ${bytes[0]}`);
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    send: async (frames) => void said.push(`told ${frames[0]![0]}`),
    isCurrent,
    ended: ({ round }, failure) => void said.push(`ended ${round} ${failure?.code ?? 'well'}`),
  });
  const end = async (error?: Error) => {
    const next = waiting.shift()!;
    if (error === undefined) next.resolve();
    else next.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { depositor, said, end };
}

test('shares are told once the deposit is there, one deposit after the other, and of those that wait the last', async () => {
  const { depositor, said, end } = started();
  for (const round of [1, 2, 3]) depositor.leave(depositOf(round));
  expect(said).toEqual(['left 1']);
  await end();
  expect(said).toEqual(['left 1', 'told 101', 'ended 1 well', 'left 3']);
  await end();
  depositor.leave(depositOf(4));
  await end();
  expect(said.slice(4)).toEqual(['told 103', 'ended 3 well', 'left 4', 'told 104', 'ended 4 well']);
});

test('nobody has shares of a deposit that failed, and the next one is left all the same', async () => {
  const { depositor, said, end } = started();
  depositor.leave(depositOf(1));
  depositor.leave(depositOf(2));
  await end(new PluralError('DISK_FULL', 'no space'));
  await end();
  expect(said).toEqual(['left 1', 'ended 1 DISK_FULL', 'left 2', 'told 102', 'ended 2 well']);
});

test('of an epoch that is over nothing is left any more, and nobody has shares', async () => {
  let epoch = 0;
  const { depositor, said, end } = started(() => epoch === 0);
  depositor.leave(depositOf(1));
  depositor.leave(depositOf(2));
  epoch = 1;
  await end();
  expect(said).toEqual(['left 1']);
});
