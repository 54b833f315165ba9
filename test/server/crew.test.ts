import { expect, test } from 'vitest';
import { Crew, type CrewMemory } from '../../src/server/relay/crew.ts';
import { RunRelay } from '../../src/server/relay/run-relay.ts';
import type { KeeperOrder, KeeperStatus } from '../../src/wire/sharding.ts';

// What becomes of a morph whose end the aggregator did not live to tell.

const IDS = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
const seatOf = (id: string) => ({ id, agreementKey: id, signature: '' });

/** Keepers that turned for epoch 1 and do as they are told, but for those that are away; what they were ordered. */
async function settledAfterRestart(kept: number, settled: readonly number[], away: readonly number[] = []) {
  const relay = new RunRelay('0'.repeat(64), { keepers: IDS.map(seatOf), standbys: [], groups: [] }, Date);
  const stop = new AbortController();
  const orders: KeeperOrder[] = [];
  const statuses = IDS.map((_, index): KeeperStatus => {
    const counts = { epoch: 1, round: 2, attempt: 0, done: false, holds: true, answered: 0, failure: null };
    return {
      session: '0'.repeat(32),
      ...counts,
      strangers: [],
      unsettled: !settled.includes(index),
      reached: null,
      verdict: null,
    };
  });
  const serving = IDS.map(async (id, index) => {
    if (away.includes(index)) return;
    let order = 0;
    const say = () => relay.take(id, { relay: relay.id, status: statuses[index]!, ready: null, frames: [] });
    say();
    while (!stop.signal.aborted) {
      const inbox = await relay.inbox(
        id,
        { relay: relay.id, after: 0, course: 0, order, newcomers: 0 },
        stop.signal,
      );
      if (inbox.order === null || inbox.order.number === order) continue;
      order = inbox.order.number;
      const { order: asked } = inbox.order;
      orders.push(asked);
      const { epoch } = statuses[index]!;
      const ended =
        asked.kind === 'settle' ? { unsettled: false, epoch: asked.keep ? epoch : epoch - 1 } : {};
      statuses[index] = { ...statuses[index]!, ...ended, answered: order };
      say();
    }
  });
  const memory: CrewMemory = { keeping: IDS, kept };
  const store = { load: async () => memory, save: async () => undefined };
  const crew = await Crew.open({ relay, patienceMs: 500, store, clock: Date, signal: stop.signal });
  // Those who are away keep their stages, so there is nobody to staff them: the morph is settled before that.
  await crew.staff().catch(() => undefined);
  stop.abort();
  relay.changed();
  await Promise.all(serving);
  return orders.flatMap((order) => (order.kind === 'settle' ? [order.keep] : []));
}

test('it is taken back where nobody was told that it is kept', async () => {
  expect(await settledAfterRestart(0, [])).toEqual([false, false, false]);
});

test('it is kept where one was told, and where it was decided and nobody was told yet', async () => {
  expect(await settledAfterRestart(0, [1])).toEqual([true, true]);
  expect(await settledAfterRestart(1, [])).toEqual([true, true, true]);
});

test('it is kept also where the only one who was told is away', async () => {
  expect(await settledAfterRestart(1, [2], [2])).toEqual([true, true]);
});
