import { afterEach, describe, expect, test, vi } from 'vitest';
import { KeeperHome } from '../../src/client/sharding/keeper-home.ts';
import { PluralError } from '../../src/core/errors.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { Crew } from '../../src/server/relay/crew.ts';
import { Mailbox } from '../../src/server/relay/mailbox.ts';
import { RunRelay } from '../../src/server/relay/run-relay.ts';
import { staffed } from '../../src/server/relay/staff.ts';
import { parseGreeting } from '../../src/sharding/frames/greeting.ts';
import { Link } from '../../src/sharding/frames/link.ts';
import { Links } from '../../src/sharding/frames/links.ts';
import type { Greeting } from '../../src/wire/greeting.ts';
import type { KeeperOrder, KeeperStatus } from '../../src/wire/sharding.ts';
import { type Cast, cast, closeCasts, epochs, order, rounds, stored } from '../support/sharded-cast.ts';
import { keyOf } from '../support/sharding.ts';

// What who comes after a sharded run began, and who says something of it, can do to the others.

const NAMES = ['k0', 'k1', 'k2', 's1', 'x1'] as const;
type Name = (typeof NAMES)[number];
const idOf = (name: Name) => Buffer.from(name).toString('hex').padEnd(64, '0');
const seatOf = (name: Name) => ({ id: idOf(name), agreementKey: idOf(name), signature: '' });
const KEEPING = (['k0', 'k1', 'k2'] as const).map(idOf);

/** A relay with a keeper of each of three stages, who stands by for the second, and a newcomer who does. */
function newRelay(): RunRelay {
  const keepers = (['k0', 'k1', 'k2'] as const).map(seatOf);
  const standbys = [{ stage: 1, seat: seatOf('s1') }];
  const relay = new RunRelay('0'.repeat(64), { keepers, standbys, groups: [] }, Date);
  relay.admit([{ seat: seatOf('x1'), stage: 1 }]);
  return relay;
}

const HONEST: KeeperStatus = {
  ...{ session: '0'.repeat(32), epoch: 0, round: 2, attempt: 0, done: false, holds: true, strangers: [] },
  ...{ unsettled: false, reached: null, verdict: null, answered: 0, failure: null },
};

const say = (relay: RunRelay, name: Name, status: KeeperStatus) =>
  relay.take(idOf(name), { relay: relay.id, status, ready: null, frames: [] });

describe('a stage whose keeper is lost', () => {
  /** Who keeps it then, as the others and who could say. */
  function taken(said: Partial<Record<Name, Partial<KeeperStatus>>>, without: readonly Name[] = []) {
    const relay = newRelay();
    for (const name of NAMES) say(relay, name, { ...HONEST, ...said[name] });
    const lost = ['k1' as Name, ...without].map(idOf);
    const next = staffed(relay, KEEPING, (id) => !lost.includes(id), 0);
    return 'stage' in next ? null : NAMES.find((name) => idOf(name) === next[1]);
  }

  test('is taken over by who stood by from the beginning, whatever one keeper says of whom it knows', () => {
    expect(taken({ k0: { strangers: ['s1', 'x1', 'k1', 'k2'].map((name) => idOf(name as Name)) } })).toBe(
      's1',
    );
  });

  test('is taken over also where a newcomer says that it knows more of the stage, and nobody else', () => {
    const boast = { round: 900, strangers: (['k0', 'k1', 'k2', 's1'] as const).map(idOf) };
    expect(taken({ x1: boast })).toBe('s1');
  });

  test('is taken over by a newcomer once all that keep the others have answered it', () => {
    expect(taken({ x1: { strangers: [idOf('k2')] } }, ['s1'])).toBeNull();
    expect(taken({ x1: { strangers: [idOf('s1')] }, k2: { strangers: [idOf('x1')] } }, ['s1'])).toBe('x1');
  });
});

describe('who stands by', () => {
  /** Staffs the stages with people who say they did what they were told, but for `lie`; whether that was possible, and what they were ordered. */
  async function staffing(
    begin: Partial<Record<Name, Partial<KeeperStatus>>>,
    lie: (name: Name, asked: KeeperOrder) => Partial<KeeperStatus>,
  ) {
    const relay = newRelay();
    const stop = new AbortController();
    const orders: (readonly [Name, KeeperOrder])[] = [];
    const serving = NAMES.map(async (name) => {
      let status: KeeperStatus = { ...HONEST, ...begin[name] };
      say(relay, name, status);
      while (!stop.signal.aborted) {
        const query = { relay: relay.id, after: 0, course: 0, order: status.answered, newcomers: 1 };
        const { order: asked } = await relay.inbox(idOf(name), query, stop.signal);
        if (asked === null || asked.number === status.answered) continue;
        orders.push([name, asked.order]);
        const told = asked.order;
        const epoch = status.epoch - (told.kind === 'settle' && !told.keep ? 1 : 0);
        const ended = told.kind === 'settle' ? { unsettled: false, epoch } : {};
        status = { ...status, failure: null, ...ended, ...lie(name, asked.order), answered: asked.number };
        say(relay, name, status);
      }
    });
    const store = { load: async () => null, save: async () => undefined };
    const crew = await Crew.open({ relay, patienceMs: 60_000, store, clock: Date, signal: stop.signal });
    const failure = await crew.staff().then(
      () => null,
      (thrown: Error) => thrown.message,
    );
    stop.abort();
    relay.changed();
    await Promise.all(serving);
    return { failure, orders, keeping: crew.keeping };
  }
  const REFUSED = { failure: { code: 'ROUND_REFUSED', message: 'no' } };

  test.each(['x1', 's1'] as const)('and does nothing that it is told (%s) stops nobody', async (liar) => {
    const { failure, keeping } = await staffing({}, (name) => (name === liar ? REFUSED : {}));
    expect({ failure, keeping }).toEqual({ failure: null, keeping: KEEPING });
  });

  test('and says that it is in the middle of a morph for ever stops nobody', async () => {
    const turned = { epoch: 1, unsettled: true };
    const { failure } = await staffing({ x1: turned }, (name) =>
      name === 'x1' ? { ...REFUSED, ...turned } : {},
    );
    expect(failure).toBeNull();
  });

  test('and says that it has settled what nobody decided has no half of a morph kept', async () => {
    const { orders } = await staffing({ x1: { epoch: 9 }, k0: { epoch: 1, unsettled: true } }, () => ({}));
    const settled = orders.filter(([, { kind }]) => kind === 'settle');
    expect(settled).toEqual([['k0', { kind: 'settle', keep: false }]]);
  });
});

describe('a mailbox', () => {
  test('in which a greeting waits has room for the stage of the same sender, however large', () => {
    const mailbox = new Mailbox();
    mailbox.put(new Uint8Array(300), 'keeper', 'welcome');
    const stage = new Uint8Array(40 * 2 ** 20);
    mailbox.put(stage, 'keeper', 'memory');
    mailbox.put(stage, 'keeper', 'memory');
    expect(mailbox.after(0, 1e9).frames.map(({ byteLength }) => byteLength)).toEqual([300, stage.byteLength]);
    // And for the frames of a round.
    mailbox.put(new Uint8Array(1000), 'keeper');
    // Those that are not replaced are bounded as before.
    expect(() => mailbox.put(stage, 'keeper')).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }));
  });
});

describe('links of a newcomer', () => {
  const bound = { run: 'a' };
  const linkAt = (epoch: number) => {
    const other = { id: 'b', agreementKey: keyPairOf(keyOf('seat', 'b')).publicKey };
    return Link.between(bound, { id: 'a', keys: keyPairOf(keyOf('seat', 'a')) }, other, epoch);
  };

  test('begin in no epoch that is out of reach: the others would be brought there for ever', () => {
    const links = new Links(new Map(), bound);
    expect(() => links.add('b', linkAt(10 ** 12))).toThrow(
      expect.objectContaining({ code: 'ROUND_REFUSED' }),
    );
    links.add('b', linkAt(7));
    expect(links.epoch).toBe(7);
  });
});

/** Keeps greetings on their way to the relay of a world; hands them over. */
function heldBack({ world }: Cast, isHeld: (greeting: Greeting) => boolean): () => void {
  const { relay } = world;
  const take = relay.take.bind(relay);
  const held: (() => void)[] = [];
  relay.take = (from, { frames, ...relayed }) => {
    const sent = frames.filter((frame) => {
      const greeting = parseGreeting(frame)?.greeting;
      if (greeting === undefined || !isHeld(greeting)) return true;
      held.push(() => take(from, { relay: '', status: null, ready: null, frames: [frame] }));
      return false;
    });
    take(from, { ...relayed, frames: sent });
  };
  return () => {
    for (const hand of held.splice(0)) hand();
  };
}

/** A keeper that has just come, at work, and told of its stage. */
async function come(all: Cast, stage: number): Promise<number> {
  const index = all.world.admitKeeper(stage);
  all.keepers.push(all.world.serve(index));
  const holds = () => all.world.homeOf(index).load()?.memory.holds;
  await expect.poll(holds, { timeout: 20_000, interval: 10 }).toBe(true);
  return index;
}

describe('a run', () => {
  afterEach(async () => {
    vi.restoreAllMocks();
    await closeCasts();
  });

  test('takes no training back that its keepers stored, where the aggregator was started again after somebody came', async () => {
    const all = cast();
    await all.train(1);
    all.world.wanted = null;
    await come(all, 1);
    await all.world.restart();
    await all.train(2);
    expect(rounds(all)).toEqual([2, 2, 2]);
  });

  test('goes on with a group that has not answered the keeper yet that takes over', async () => {
    const all = cast([], { patienceMs: 4000 });
    await all.train(1);
    const [late, group] = [all.world.admitKeeper(0), all.world.seats.groups[2]!.id];
    const handOver = heldBack(all, ({ kind, to }) => kind === 'hello' && to === group);
    all.keepers.push(all.world.serve(late));
    const holds = () => all.world.homeOf(late).load()?.memory.holds;
    await expect.poll(holds, { timeout: 20_000, interval: 10 }).toBe(true);
    const first = all.world.seats.keepers[0]!.id;
    // The group is ready, and begins to train when another keeps the first stage.
    let [ready, isLost] = [false, false];
    all.world.isSent = async ({ from, kind }) => {
      if (from !== first || kind !== 'forward') return true;
      ready = true;
      return !isLost;
    };
    const training = all.train(2);
    await expect.poll(() => ready, { timeout: 20_000, interval: 1 }).toBe(true);
    isLost = true;
    await all.keepers[0]!.stop();
    const taken = () =>
      all.world.relay.course?.training !== null && all.world.relay.course?.keeping[0] !== first;
    await expect.poll(taken, { timeout: 20_000, interval: 1 }).toBe(true);
    handOver();
    expect(await training).toHaveLength(3);
    expect(rounds(all, [late, 1, 2])).toEqual([2, 2, 2]);
  });

  test('writes no stage for a greeting that somebody repeats', async () => {
    const all = cast([], { seated: 2 });
    all.world.admitGroup(2);
    await all.train(1, [0, 1]);
    all.world.wanted = null;
    const { relay } = all.world;
    const take = relay.take.bind(relay);
    const keeper = all.world.seats.keepers[0]!.id;
    let [hello, from, answers]: [Uint8Array<ArrayBuffer> | null, string, number] = [null, '', 0];
    relay.take = (sender, relayed) => {
      for (const frame of relayed.frames) {
        const greeting = parseGreeting(frame)?.greeting;
        if (greeting?.kind === 'hello' && greeting.to === keeper) [hello, from] = [frame, sender];
        if (greeting?.kind === 'welcome' && sender === keeper) answers++;
      }
      take(sender, relayed);
    };
    const request = { group: 0, context: [0, 1], targets: [2] };
    await all.trainers[2]!.predicting(all.received, (predict) => predict(request));
    const save = vi.spyOn(KeeperHome.prototype, 'save');
    for (let again = 0; again < 3; again++) {
      const before: number = answers;
      take(from, { relay: '', status: null, ready: null, frames: [hello!] });
      await expect.poll(() => answers, { timeout: 20_000, interval: 1 }).toBe(before + 1);
    }
    expect(save).not.toHaveBeenCalled();
  });

  test('ends a keeper that cannot store how a morph was settled, before it stores anything else beside the stage of the epoch before', async () => {
    const all = cast();
    for (const round of [1, 2]) await all.train(round);
    const { folder } = all.world.homeOf(1);
    const { save } = KeeperHome.prototype;
    let isTurned = false;
    const full = new PluralError('DISK_FULL', 'no room is left');
    vi.spyOn(KeeperHome.prototype, 'save').mockImplementation(function (this: KeeperHome, now) {
      const isSettled = this.folder === folder && isTurned && !now.turned;
      if (this.folder === folder) isTurned = now.turned;
      if (isSettled) throw full;
      save.call(this, now);
    });
    const training = all.train(3);
    await order(all.keepers[1]!, 'settle');
    await expect(all.keepers[1]!.stop()).rejects.toBe(full);
    expect(stored(all, 1)).toMatchObject({ turned: true, memory: { links: { epoch: 0 } } });
    all.keepers[1] = all.world.serve(1);
    expect(await training).toHaveLength(3);
    expect(epochs(all)).toEqual([1, 1, 1]);
  });

  test('of which a group is said to have no seat is refused, and leaves the group what its seat was taken with', async () => {
    const all = cast();
    const { relay, seats, links } = {
      relay: all.world.relay,
      seats: all.world.seats,
      links: all.world.links(2),
    };
    const told = vi.spyOn(relay, 'told', 'get').mockReturnValue({
      seats: { ...seats, groups: seats.groups.slice(0, 2) },
      newcomers: [],
    });
    const training = all.trainers[2]!.train({ round: 1, attempt: 1 }, all.received);
    await expect(training).rejects.toMatchObject({ code: 'STAGE_TAKEN' });
    expect(links.links).toBeNull();
    told.mockRestore();
    expect(await all.train(1)).toHaveLength(3);
  });
});

describe('an aggregator that names another newcomer to each keeper', () => {
  afterEach(closeCasts);

  test('gets none of them told of a stage', async () => {
    const all = cast([], { overrides: ['sharding.lateKeepers=1'] });
    const { world } = all;
    await all.train(1);
    const keepers = world.seats.keepers.map(({ id }) => id);
    // Each keeper hears of the one for its stage alone, each newcomer of itself alone: nobody hears of more than one.
    world.named = (id, { seats, newcomers }) => {
      const isMine = ({ seat, stage }: (typeof newcomers)[number]) =>
        seat.id === id || stage === keepers.indexOf(id);
      return { seats, newcomers: newcomers.filter(isMine) };
    };
    const late = [0, 1, 2].map((stage) => world.admitKeeper(stage));
    all.keepers.push(...late.map((index) => world.serve(index)));
    const memory = (index: number) => world.homeOf(index).load()?.memory;
    const isLinked = (index: number, stage: number) =>
      memory(index)?.links.secrets.some(([id]) => id === keepers[stage]) === true;
    const linked = () => late.every(isLinked);
    await expect.poll(linked, { timeout: 20_000 }).toBe(true);
    for (const round of [2, 3]) await all.train(round);
    expect(late.map((index) => memory(index)?.holds)).toEqual([false, false, false]);
  });

  test('gets none of them told a share of what was left, by keepers who alone know it', async () => {
    const all = cast([], { overrides: ['sharding={ recovery: 2, lateKeepers: 1 }'] });
    const { world } = all;
    await all.train(1);
    const first = world.seats.keepers[0]!.id;
    world.named = (id, { seats, newcomers }) => {
      return { seats, newcomers: newcomers.filter(({ seat }) => id === first || id === seat.id) };
    };
    const left = () => world.deposits.findLast(({ header }) => header.stage === 1)?.header.id;
    const shares = () => world.homeOf(0).loadShares();
    await expect.poll(() => shares().some(({ id }) => id === left()), { timeout: 20_000 }).toBe(true);
    world.wanted = null;
    const late = world.admitKeeper(1);
    all.keepers.push(world.serve(late));
    const to = world.relay.told.newcomers[0]!.seat.id;
    const secrets = () =>
      world
        .homeOf(0)
        .load()
        ?.memory.links.secrets.map(([id]) => id);
    await expect.poll(secrets, { timeout: 20_000 }).toContain(to);
    world.relay.order(first, { kind: 'reveal', stage: 1, id: left()!, to });
    await order(all.keepers[0]!, 'reveal');
    const told = all.keepers[0]!.events.find((event) => event.type === 'order' && event.kind === 'reveal');
    expect(told).toMatchObject({ failure: expect.stringContaining('the others do not know') });
  });
});
