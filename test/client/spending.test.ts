import { describe, expect, test } from 'vitest';
import { spendRound } from '../../src/client/spending.ts';
import type { TransportRequest } from '../../src/client/transport.ts';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import { openLedger, spentEpsilon } from '../../src/privacy/differential/ledger.ts';
import { type Ledger, ledgerSchema } from '../../src/privacy/differential/ledger-schema.ts';
import { STEP } from '../../src/privacy/mask/messages.ts';
import { mask } from '../../src/privacy/mask.ts';
import { SHAPE } from '../support/protected-round.ts';
import { FakeAggregator } from './fake-aggregator.ts';
import { type FakeGroup, fakeGroup, Killed, MemoryStore, until } from './fake-group.ts';

const PARAMETERS = 5;
const NAMES = ['a', 'b', 'c'];

function noised(rounds: number, epsilon = 4) {
  const options = { mostGroups: 8, clipNorm: 1, differentialPrivacy: { epsilon, delta: 1e-6 } };
  return mask.create(options, { ...SHAPE, equalWeights: true, parameters: PARAMETERS, rounds });
}

const RUN = sha256('run');
const PLAN = noised(3).guarantee!;
const [ONCE, TWICE, THRICE] = PLAN.epsilons as [number, number, number];
const at = (round: number, attempt = 1, run = RUN) => ({ run, round, attempt });
const spentIn = (store: MemoryStore) => spentEpsilon(store.loadLedger()!);
const refused = expect.objectContaining({ code: 'PRIVACY_BUDGET_SPENT' });

describe('an opening of a round', () => {
  test('is paid once, however often it is asked for, and nothing is written the second time', () => {
    const store = new MemoryStore('a');
    spendRound(store, PLAN, at(1), false);
    expect(spentIn(store)).toBe(ONCE);
    const [before, writes] = [store.loadLedger(), store.writes.length];
    spendRound(store, PLAN, at(1), false);
    expect(store.loadLedger()).toEqual(before);
    expect(store.writes).toHaveLength(writes);
  });

  test('is paid again in another attempt, another round, another run', () => {
    for (const second of [at(1, 2), at(2), at(1, 1, sha256('another run'))]) {
      const store = new MemoryStore('a');
      spendRound(store, PLAN, at(1), false);
      spendRound(store, PLAN, second, false);
      expect(spentIn(store)).toBe(TWICE);
    }
  });

  test('costs nothing while the group only looks whether it may', () => {
    const store = new MemoryStore('a');
    spendRound(store, PLAN, at(1), true);
    expect(store.writes).toEqual([]);
    for (const round of [1, 2, 3]) spendRound(store, PLAN, at(round), false);
    const { length } = store.writes;
    // Paid already: it may be asked for again.
    spendRound(store, PLAN, at(3), true);
    expect(() => spendRound(store, PLAN, at(4), true)).toThrow(refused);
    expect(store.writes).toHaveLength(length);
  });
});

describe('a budget that nobody set', () => {
  test('is what the first run plans, to the last bit, and no more', () => {
    const store = new MemoryStore('a');
    for (const round of [1, 2, 3]) spendRound(store, PLAN, at(round), false);
    expect(store.loadLedger()!.budget).toEqual({ epsilon: THRICE, delta: PLAN.delta });
    expect(spentIn(store)).toBe(THRICE);
    const before = store.loadLedger();
    expect(() => spendRound(store, PLAN, at(4), false)).toThrow(refused);
    expect(store.loadLedger()).toEqual(before);
  });

  test('has no room for an attempt more than rounds were planned', () => {
    const store = new MemoryStore('a');
    for (const spent of [at(1, 1), at(1, 2), at(2)]) spendRound(store, PLAN, spent, false);
    expect(() => spendRound(store, PLAN, at(3), false)).toThrow(refused);
  });

  test('is not that of a later run, however much that plans', () => {
    const store = new MemoryStore('a');
    spendRound(store, PLAN, at(1), false);
    const generous = noised(3, 400).guarantee!;
    expect(() => spendRound(store, generous, at(1, 1, sha256('generous')), true)).toThrow(refused);
    expect(store.loadLedger()!.budget.epsilon).toBe(THRICE);
  });
});

test('a budget that was set counts at its own delta', () => {
  const store = new MemoryStore('a');
  store.saveLedger(openLedger({ epsilon: THRICE, delta: PLAN.delta / 100 }));
  for (const round of [1, 2]) spendRound(store, PLAN, at(round), false);
  expect(spentIn(store)).toBeGreaterThan(TWICE);
  expect(() => spendRound(store, PLAN, at(3), false)).toThrow(refused);
});

function contentOf({ body }: TransportRequest): { round: number; step: number } {
  return JSON.parse(Buffer.from(body).toString('utf8'));
}

interface Sent {
  readonly path: string;
  readonly round: number;
  readonly attempt: number;
  readonly step: number;
  /** What was in the ledger when it left. */
  readonly ledger: Ledger | null;
}

/** A noised run that has begun. `planned`: rounds that the noise is made for. */
function started({
  rounds = 2,
  planned = rounds,
  ledger,
}: {
  rounds?: number;
  planned?: number;
  ledger?: Ledger;
} = {}) {
  const aggregator = new FakeAggregator({
    parameters: PARAMETERS,
    rounds,
    quorum: NAMES.length,
    protection: noised(planned),
  });
  const sent = new Map<string, Sent[]>(NAMES.map((name) => [name, []]));
  const groups = NAMES.map((name): FakeGroup => {
    const made: FakeGroup = fakeGroup(aggregator, name, {
      transport: (request) => {
        const { round, attempt, step } = aggregator.state;
        const { path, method } = request;
        const place = { path: path.split('?')[0]!, round, attempt, step };
        if (method !== 'GET') sent.get(name)!.push({ ...place, ledger: made.store.loadLedger() });
        return aggregator.transport(request);
      },
    });
    if (ledger !== undefined) made.store.saveLedger(ledger);
    made.store.writes.length = 0;
    return made;
  });
  aggregator.deliver({ type: 'start' });
  return { aggregator, groups, sent };
}

const watchAll = (groups: readonly FakeGroup[]) => Promise.all(groups.map((group) => group.start().watch()));

/** Whether a ledger has an opening of a round in it. */
const paid = (ledger: Ledger | null, { round, attempt }: { round: number; attempt: number }) =>
  ledger?.runs.some(({ spans }) =>
    spans.some((span) => span.attempt === attempt && span.first <= round && round <= span.last),
  ) ?? false;

const entriesOf = (ledger: Ledger | null) =>
  ledger?.runs.flatMap(({ spans }) => spans).reduce((sum, { first, last }) => sum + last - first + 1, 0) ?? 0;

describe('a group in a noised run within its budget', () => {
  test('pays before its update leaves it, and not before it is asked for one', async () => {
    const { aggregator, groups, sent } = started();
    await watchAll(groups);
    expect(aggregator.state).toMatchObject({ phase: 'finished', round: 2 });
    for (const [name, all] of sent) {
      expect(all.filter(({ step }) => step === STEP.upload).length, name).toBeGreaterThan(3);
      for (const one of all) {
        expect(paid(one.ledger, one), `${name} ${one.path} ${one.round}/${one.step}`).toBe(
          one.step >= STEP.upload,
        );
      }
    }
    for (const { store } of groups) {
      expect(spentIn(store)).toBe(noised(2).guarantee!.epsilons.at(-1));
      expect(entriesOf(store.loadLedger())).toBe(2);
    }
  });

  test('writes: what it is shown, the ledger, the outbox', async () => {
    const { groups } = started({ rounds: 1 });
    await watchAll(groups);
    const [{ store }] = groups as [FakeGroup];
    const paidAt = store.writes.indexOf('ledger');
    expect(store.writes.filter((what) => what === 'ledger')).toHaveLength(1);
    expect(store.writes[paidAt - 1]).toBe(`shown 1 1 ${STEP.upload}`);
    const later = store.writes.slice(paidAt + 1).filter((what) => !what.startsWith('record'));
    // That it sends an update in this attempt, and in no other of the round; then the update.
    expect(later.slice(0, 2)).toEqual([expect.stringMatching(/^opened-/), 'outbox']);
    // Of the steps before: nothing in them is of the group's answers.
    const earlier = store.writes.slice(0, paidAt).filter((what) => what === 'outbox');
    expect(earlier).toHaveLength(STEP.upload);
  });

  test('pays once, wherever it is killed', async () => {
    const whole = started({ rounds: 1 });
    await watchAll(whole.groups);
    const writes = whole.groups[1]!.store.writes.length;
    for (let left = 0; left < writes; left++) {
      const { aggregator, groups, sent } = started({ rounds: 1 });
      const [first, killed, last] = groups as [FakeGroup, FakeGroup, FakeGroup];
      const others = watchAll([first, last]);
      killed.store.left = left;
      await expect(killed.start().watch()).rejects.toThrow(Killed);
      killed.store.left = Number.POSITIVE_INFINITY;
      await killed.start().watch();
      await others;
      expect(aggregator.state.phase).toBe('finished');
      expect(entriesOf(killed.store.loadLedger()), `killed at write ${left}`).toBe(1);
      for (const one of sent.get('b')!) {
        if (one.step >= STEP.upload) expect(paid(one.ledger, one), `killed at write ${left}`).toBe(true);
      }
    }
  });
});

describe('a round that is opened again', () => {
  /** Refuses what comes in a step of the first attempt, gives that up, and goes on. */
  async function givenUpAt(step: number, ledger?: Ledger) {
    const run = started({ ...(ledger === undefined ? {} : { ledger }) });
    const { aggregator, groups } = run;
    let late = true;
    aggregator.before = (request) => {
      if (late && request.path.endsWith('/submissions') && contentOf(request).step === step) {
        throw new PluralError('GROUP_NOT_ASKED', 'too late');
      }
    };
    const watching = Promise.allSettled(groups.map((group) => group.start().watch()));
    await until(() => groups.every(({ events }) => events.some(({ type }) => type === 'refused')));
    late = false;
    aggregator.deliver({ type: 'deadline', round: 1, step });
    expect(aggregator.state.phase).toBe('failed');
    aggregator.deliver({ type: 'start' });
    return { ...run, outcomes: await watching };
  }

  test('costs nothing more where it was given up before updates were asked for', async () => {
    const { groups, aggregator } = await givenUpAt(STEP.shares);
    expect(aggregator.state.phase).toBe('finished');
    for (const { store } of groups) {
      const { runs } = store.loadLedger()!;
      expect(runs.flatMap(({ spans }) => spans)).toEqual([
        { attempt: 1, first: 2, last: 2, curve: 0 },
        { attempt: 2, first: 1, last: 1, curve: 0 },
      ]);
    }
  });

  test('is skipped where updates were sent, and paid once: the budget of the plan is enough', async () => {
    const { groups, aggregator, outcomes } = await givenUpAt(STEP.upload);
    expect(outcomes.map(({ status }) => status)).toEqual(groups.map(() => 'fulfilled'));
    expect(aggregator.state.phase).toBe('finished');
    expect(aggregator.records.map(({ updates }) => updates)).toEqual([0, 0, groups.length]);
    for (const { store } of groups) expect(entriesOf(store.loadLedger())).toBe(2);
  });
});

describe('a second run', () => {
  /** The ledger of a group that took part in a whole run. */
  async function spentLedger(): Promise<Ledger> {
    const { groups } = started();
    await watchAll(groups);
    return groups[0]!.store.loadLedger()!;
  }

  test('is refused when its first keys are asked for: nothing is sent, nothing trained, nothing spent', async () => {
    const ledger = await spentLedger();
    const { aggregator, groups, sent } = started({ rounds: 3, ledger });
    const outcomes = await Promise.allSettled(groups.map((group) => group.start().watch()));
    for (const [index, outcome] of outcomes.entries()) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'PRIVACY_BUDGET_SPENT',
          message: expect.stringMatching(
            /^epsilon 4 is spent, round 1, attempt 1 of run [0-9a-f]{12} would make it [\d.]+, and the budget is 4 at/,
          ),
          hint: expect.stringContaining('larger budget'),
        },
      });
      const { store, work, group } = groups[index]!;
      expect(sent.get(group)).toEqual([]);
      expect(work.trained).toEqual([]);
      expect(store.loadLedger()).toEqual(ledger);
      expect(store.loadRecord()).toMatchObject({ sent: null, trained: null });
      expect(store.writes).not.toContain('ledger');
      expect(store.writes).not.toContain('outbox');
    }
    expect(aggregator.state).toMatchObject({ phase: 'collecting', round: 1, step: STEP.keys, replies: [[]] });
  });

  test('goes on after the group has raised its budget', async () => {
    const ledger = await spentLedger();
    const { aggregator, groups } = started({ rounds: 3, ledger });
    for (const group of groups) await expect(group.start().watch()).rejects.toThrow(refused);
    for (const { store } of groups) {
      store.saveLedger({ ...store.loadLedger()!, budget: { epsilon: 12, delta: 1e-6 } });
    }
    await watchAll(groups);
    expect(aggregator.state.phase).toBe('finished');
    for (const { store } of groups) {
      expect(ledgerSchema.parse(JSON.parse(JSON.stringify(store.loadLedger()))).runs).toHaveLength(2);
      expect(entriesOf(store.loadLedger())).toBe(5);
      expect(spentIn(store)).toBeGreaterThan(4);
    }
  });
});
