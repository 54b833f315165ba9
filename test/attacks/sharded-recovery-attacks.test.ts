import { afterEach, describe, expect, test } from 'vitest';
import { Crew, type CrewMemory } from '../../src/server/relay/crew.ts';
import type { DepositNote } from '../../src/server/relay/recovery.ts';
import { RunRelay } from '../../src/server/relay/run-relay.ts';
import type { KeeperOrder, KeeperStatus } from '../../src/wire/sharding.ts';

// What one keeper, or one who may keep a stage, can say so that a lost stage does not go on from its deposit, or that others go where they cannot come back from. The aggregator is honest.

const PATIENCE_MS = 60;
const ids = Array.from({ length: 6 }, (_, index) => `${index}`.repeat(64));
const [FIRST, LOST, LAST, ONE, OTHER] = ids as [string, string, string, string, string];
const seatOf = (id: string) => ({ id, agreementKey: id, signature: '' });
const deposit = (round: number, epoch = 1): DepositNote => ({
  ...{ stage: 1, epoch, round, from: LOST },
  id: `${round}`.padStart(32, '0'),
});

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

/** Stage 1 is lost, three rounds and one epoch after the run began; its deposits, and those who may keep it besides, who came later. */
function lostStage(deposits: readonly DepositNote[], kept = 1) {
  const keepers = [FIRST, LOST, LAST].map(seatOf);
  const relay = new RunRelay('0'.repeat(64), { keepers, standbys: [], groups: [] }, Date);
  const late = [ONE, OTHER].map((id) => ({ seat: seatOf(id), stage: 1 }));
  relay.admit(late);
  const stop = new AbortController();
  stops.push(stop);
  const orders: (KeeperOrder & { readonly by: string })[] = [];
  let memory: CrewMemory = { keeping: keepers.map(({ id }) => id), kept };

  /** Somebody who says that he does all that he is told, and says of himself what he likes: what he is given next. */
  function lives(
    id: string,
    says: Partial<KeeperStatus>,
    recovered: Partial<KeeperStatus> = {},
    refuses: (order: KeeperOrder) => string | null = () => null,
  ) {
    let status: KeeperStatus = {
      ...{ session: '0'.repeat(32), epoch: 1, round: 3, attempt: 0, done: false, holds: true },
      ...{ strangers: [], unsettled: false, reached: null, verdict: null, answered: 0, failure: null },
      ...says,
    };
    const say = () => relay.take(id, { relay: relay.id, status, ready: null, frames: [] });
    say();
    const live = async () => {
      let [order, course] = [0, 0];
      while (!stop.signal.aborted) {
        const query = { relay: relay.id, after: 0, course, order, newcomers: late.length };
        const inbox = await relay.inbox(id, query, stop.signal);
        course = inbox.course?.version ?? 0;
        if (inbox.order === null || inbox.order.number === order) continue;
        order = inbox.order.number;
        orders.push({ ...inbox.order.order, by: id });
        const change = inbox.order.order.kind === 'recover' ? recovered : {};
        const code = refuses(inbox.order.order);
        const failure = code === null ? null : { code, message: 'it does not' };
        status = { ...status, ...change, failure, answered: order };
        say();
      }
    };
    void live();
    return (change: Partial<KeeperStatus>) => {
      status = { ...status, ...change };
      say();
    };
  }

  /** Looks again and again, as the course of a run does, until something is so; what was said to be wrong. */
  async function staffUntil(isSo: () => boolean): Promise<readonly string[]> {
    const { signal } = stop;
    const store = {
      load: async () => memory,
      save: async (next: CrewMemory) => {
        memory = next;
      },
    };
    const stored = { threshold: 2, stored: async () => deposits };
    const crew = await Crew.open({
      ...{ relay, patienceMs: PATIENCE_MS, store, clock: Date, signal, deposits: stored },
    });
    const troubles: string[] = [];
    const look = async () => {
      await crew.staff().catch((thrown: Error) => troubles.push(thrown.message));
      return isSo();
    };
    await expect.poll(look, { timeout: 10_000, interval: 10 }).toBe(true);
    return troubles;
  }
  const recoveries = () =>
    orders.flatMap((one) => (one.kind === 'recover' ? [{ by: one.by, id: one.id }] : []));
  return { relay, orders, lives, staffUntil, recoveries, memory: () => memory };
}

const AWAY = { epoch: 0, round: 0, holds: false } as const;
const THERE = { epoch: 1, round: 3, holds: true } as const;

describe('a stage that is lost', () => {
  test('goes on with who recovers it', async () => {
    const run = lostStage([deposit(2), deposit(3)]);
    for (const id of [FIRST, LAST]) run.lives(id, {});
    run.lives(ONE, AWAY, THERE);
    await run.staffUntil(() => run.memory().keeping[1] === ONE);
    expect(run.recoveries()).toEqual([{ by: ONE, id: deposit(3).id }]);
    expect(run.relay.course?.epoch).toBe(1);
  });

  describe.each([
    ['does not tell its share yet', 'ROUND_REFUSED', 1, 3],
    ['never tells its share', 'ROUND_REFUSED', Number.POSITIVE_INFINITY, 2],
    ['has no share of it', 'DEPOSIT_REFUSED', Number.POSITIVE_INFINITY, 2],
  ])('where one keeper %s of the newest deposit', (_, code, times, opened) => {
    test(`goes on from that of round ${opened}`, async () => {
      const run = lostStage([deposit(2), deposit(3)]);
      run.lives(FIRST, {});
      let refused = 0;
      run.lives(LAST, {}, {}, (order) => {
        const isIt = order.kind === 'reveal' && order.id === deposit(3).id && refused < times;
        if (isIt) refused++;
        return isIt ? code : null;
      });
      run.lives(ONE, AWAY, THERE);
      await run.staffUntil(() => run.memory().keeping[1] === ONE);
      expect(run.recoveries()).toEqual([{ by: ONE, id: deposit(opened).id }]);
      expect(refused).toBeGreaterThan(0);
    });
  });

  test('has nobody go on from more rounds than the others could ever train, as who left it may have said', async () => {
    const run = lostStage([deposit(3), deposit(2 ** 30)]);
    for (const id of [FIRST, LAST]) run.lives(id, {});
    run.lives(ONE, AWAY, THERE);
    await run.staffUntil(() => run.memory().keeping[1] === ONE);
    expect(run.recoveries()).toEqual([{ by: ONE, id: deposit(3).id }]);
  });

  test('is recovered in the epoch that was kept, also where another keeper says that it is in a later one', async () => {
    const run = lostStage([deposit(3), deposit(4, 90_000)]);
    run.lives(FIRST, {});
    // Of two who say different things none has a majority.
    run.lives(LAST, { epoch: 90_000 });
    run.lives(ONE, AWAY, THERE);
    await run.staffUntil(() => run.recoveries().some(({ by }) => by === ONE));
    expect(run.recoveries()[0]).toEqual({ by: ONE, id: deposit(3).id });
    // Who came later goes by this, and cannot come back from a later one.
    expect(run.relay.course?.epoch).toBe(1);
  });

  test('goes on also where one says that it has it, and never knows the others', async () => {
    const run = lostStage([deposit(3)]);
    for (const id of [FIRST, LAST]) run.lives(id, {});
    run.lives(ONE, { strangers: [FIRST, LAST] });
    run.lives(OTHER, AWAY, THERE);
    await run.staffUntil(() => run.memory().keeping[1] === OTHER);
    expect(run.recoveries()[0]).toEqual({ by: OTHER, id: deposit(3).id });
  });

  test('goes on with somebody else where the first says that it recovered it, and did not', async () => {
    const run = lostStage([deposit(3)]);
    for (const id of [FIRST, LAST]) run.lives(id, {});
    run.lives(ONE, AWAY);
    run.lives(OTHER, AWAY, THERE);
    await run.staffUntil(() => run.memory().keeping[1] === OTHER);
  });

  test('is waited for no longer where another keeper is now in an epoch that fits and now in one that does not', async () => {
    const run = lostStage([deposit(3)]);
    const says = run.lives(FIRST, {});
    run.lives(LAST, {});
    run.lives(ONE, AWAY, THERE);
    let looks = 0;
    await run.staffUntil(() => {
      says({ epoch: looks++ % 2 });
      return run.recoveries().some(({ by }) => by === ONE);
    });
    expect(run.recoveries()).toContainEqual({ by: ONE, id: deposit(3).id });
  });
});

test.each([
  [2, true],
  [3, false],
  [90_000, false],
])('a morph for epoch %i is kept for what another keeper says of itself: %s', async (epoch, keep) => {
  const run = lostStage([deposit(3)]);
  run.lives(FIRST, { epoch, unsettled: true });
  run.lives(LAST, { epoch });
  const settled = () => run.orders.filter(({ kind }) => kind === 'settle');
  await run.staffUntil(() => settled().length > 0);
  expect(settled()[0]).toEqual({ kind: 'settle', keep, by: FIRST });
  expect(run.memory().kept).toBe(keep ? 2 : 1);
});
