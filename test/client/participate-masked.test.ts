import { describe, expect, test } from 'vitest';
import { newRecord } from '../../src/client/group-record.ts';
import type { ParticipantOptions } from '../../src/client/participation.ts';
import type { TransportRequest } from '../../src/client/transport.ts';
import { PluralError } from '../../src/core/errors.ts';
import { mask } from '../../src/privacy/mask.ts';
import { newGroup } from '../../src/round/group.ts';
import { SHAPE } from '../support/protected-round.ts';
import { FakeAggregator } from './fake-aggregator.ts';
import { type FakeGroup, fakeGroup, identityOfFake, Killed, until } from './fake-group.ts';

const UNMASK = mask.steps.length - 1;
const NAMES = ['a', 'b', 'c'];

interface Change {
  readonly rounds?: number;
  readonly names?: readonly string[];
  readonly knownPeers?: ParticipantOptions['knownPeers'];
  readonly leastGroups?: number;
  readonly onSubmitted?: (name: string, place: { round: number; step: number }) => void;
}

function contentOf({ body }: TransportRequest): { round: number; step: number; digest: string } {
  return JSON.parse(Buffer.from(body).toString('utf8'));
}

/** A masked run that has begun; `sent` has what groups tried to submit, as `group round/attempt/step`. */
function started({ rounds = 2, names = NAMES, onSubmitted = () => undefined, ...options }: Change = {}) {
  const protection = mask.create({ mostGroups: 8 }, SHAPE);
  const aggregator = new FakeAggregator({ parameters: 5, rounds, quorum: 3, protection });
  const sent = new Map<string, Set<string>>();
  const groups = names.map((name) =>
    fakeGroup(aggregator, name, {
      ...options,
      transport: async (request) => {
        if (!request.path.endsWith('/submissions')) return aggregator.transport(request);
        const { round, step, digest } = contentOf(request);
        const place = `${name} ${round}/${aggregator.state.attempt}/${step}`;
        sent.set(place, new Set([...(sent.get(place) ?? []), digest]));
        const answer = await aggregator.transport(request);
        onSubmitted(name, { round, step });
        return answer;
      },
    }),
  );
  aggregator.deliver({ type: 'start' });
  return { aggregator, groups, sent };
}

const watchAll = (groups: readonly FakeGroup[]) => Promise.all(groups.map((group) => group.start().watch()));
/** A group that waits for nothing more in its test. */
const watchAside = (group: FakeGroup) =>
  void group
    .start()
    .watch()
    .catch(() => undefined);
/** The last round whose sum a group helped to open. */
const openedBy = ({ digest }: FakeAggregator, { store }: FakeGroup) => store.loadOpened(digest);
const refusalsOf = ({ events }: FakeGroup) => events.filter(({ type }) => type === 'refused');

/** What the run ends with when nothing goes wrong: no mask shows in a sum. */
async function undisturbed(): Promise<string> {
  const { aggregator, groups } = started();
  await watchAll(groups);
  return aggregator.models.at(-1)!.digest;
}

describe('a masked run', () => {
  test('goes through all steps of all rounds, trains once in each, and tells scores to nobody', async () => {
    const { aggregator, groups, sent } = started();
    const outcomes = await watchAll(groups);
    const last = aggregator.models.at(-1)!;
    expect(last.round).toBe(2);
    for (const [index, outcome] of outcomes.entries()) {
      expect(groups[index]!.work.trained).toEqual([1, 2]);
      expect(outcome).toMatchObject({ round: 2, ended: 'finished', loss: 1 / 2, model: last.digest });
      expect(openedBy(aggregator, groups[index]!)).toBe(2);
      expect(groups[index]!.store.loadRecord().satOut).toBeNull();
    }
    expect(aggregator.scores).toEqual([]);
    expect(sent.size).toBe(NAMES.length * 2 * mask.steps.length);
    expect(groups[0]!.store.loadRecord().peers).toEqual(
      NAMES.map((name) => [name, identityOfFake(name).publicKey]),
    );
  });

  test('ends with the same model whatever the masks were', async () => {
    expect(await undisturbed()).toBe(await undisturbed());
  });
});

describe('kill -9', () => {
  test('at every write of a run: nothing else is sent in any place, and the model is the same', async () => {
    const expected = await undisturbed();
    const whole = started();
    await watchAll(whole.groups);
    const writes = whole.groups[1]!.store.writes.length;
    expect(writes).toBeGreaterThan(2 * mask.steps.length * 2);
    for (let left = 0; left < writes; left++) {
      const { aggregator, groups, sent } = started();
      const [first, killed, last] = groups as [FakeGroup, FakeGroup, FakeGroup];
      const others = watchAll([first, last]);
      killed.store.left = left;
      await expect(killed.start().watch()).rejects.toThrow(Killed);
      killed.store.left = Number.POSITIVE_INFINITY;
      await killed.start().watch();
      await others;
      expect(aggregator.models.at(-1)!.digest, `killed at write ${left}`).toBe(expected);
      for (const [place, digests] of sent) expect(digests.size, `${place}, write ${left}`).toBe(1);
      expect(refusalsOf(killed)).toEqual([]);
    }
  }, 120_000);
});

describe('a group sits out', () => {
  test('the attempt of which it lost what it was shown, and takes part in the next round', async () => {
    const { aggregator, groups } = started({
      names: [...NAMES, 'd'],
      onSubmitted: (name, { round, step }) => {
        if (name === 'a' && round === 1 && step === 1) groups[0]!.store.loseShown();
      },
    });
    const [forgetful] = groups as [FakeGroup, ...FakeGroup[]];
    const watching = watchAll(groups);
    await until(() => forgetful.store.loadRecord().satOut !== null);
    await until(() => aggregator.state.step === 2 && aggregator.state.replies[2]?.length === 3);
    expect(forgetful.work.trained).toEqual([]);
    expect(refusalsOf(forgetful)).toEqual([
      expect.objectContaining({ code: 'ROUND_REFUSED', message: expect.stringContaining('is lost here') }),
    ]);
    aggregator.deliver({ type: 'deadline', round: 1, step: 2 });
    await watching;
    expect(forgetful.work.trained).toEqual([2]);
    expect(aggregator.records.map(({ updates }) => updates)).toEqual([0, 3, 4]);
    expect(aggregator.state).toMatchObject({ phase: 'finished', round: 2 });
  });

  test.each([
    ['when it is opened again', false],
    ['also where it forgot all else of the run', true],
  ])('a round in which it sent an update in another attempt, %s', async (_, forgets) => {
    const { aggregator, groups } = started({ rounds: 1 });
    aggregator.before = (request) => {
      if (request.path.endsWith('/submissions') && contentOf(request).step === UNMASK) {
        throw new PluralError('GROUP_NOT_ASKED', 'too late');
      }
    };
    for (const group of groups) watchAside(group);
    await until(() => groups.every((group) => openedBy(aggregator, group) === 1));
    // The machine would skip the round: this aggregator does not do as it should.
    aggregator.state = { ...aggregator.state, phase: 'failed', failure: 'not by the rules', step: 0 };
    aggregator.deliver({ type: 'start' });
    expect(aggregator.state).toMatchObject({ phase: 'collecting', round: 1, attempt: 2, step: 0 });
    const [first] = groups as [FakeGroup, ...FakeGroup[]];
    if (forgets) {
      first.store.saveRecord(newRecord(newGroup(first.group)));
      watchAside(first);
    }
    await until(() => groups.every(({ store }) => store.loadRecord().satOut?.attempt === 2));
    expect(aggregator.state).toMatchObject({ phase: 'collecting', attempt: 2, step: 0, replies: [[]] });
    for (const group of groups) {
      expect(refusalsOf(group).at(-1)).toMatchObject({
        code: 'ROUND_REFUSED',
        message: expect.stringContaining('in another attempt'),
      });
    }
  });

  test('a round of fewer groups than it wants to hide among', async () => {
    const { aggregator, groups } = started({ leastGroups: 4 });
    for (const group of groups) watchAside(group);
    await until(() => groups.every(({ store }) => store.loadRecord().satOut !== null));
    expect(aggregator.state).toMatchObject({ phase: 'collecting', step: 1, replies: [{ length: 3 }, []] });
    expect(groups.flatMap(({ work }) => work.trained)).toEqual([]);
  });
});

describe('a round that is opened again', () => {
  test('has another secret, and ends with the same model', async () => {
    const expected = await undisturbed();
    const { aggregator, groups, sent } = started();
    let late = true;
    aggregator.before = (request) => {
      if (late && request.path.endsWith('/submissions') && contentOf(request).step === 1) {
        throw new PluralError('GROUP_NOT_ASKED', 'too late');
      }
    };
    const watching = watchAll(groups);
    await until(() => groups.every((group) => refusalsOf(group).length > 0));
    late = false;
    aggregator.deliver({ type: 'deadline', round: 1, step: 1 });
    expect(aggregator.state.phase).toBe('failed');
    aggregator.deliver({ type: 'start' });
    await watching;
    expect(aggregator.models.at(-1)!.digest).toBe(expected);
    for (const name of NAMES) {
      for (const step of [0]) {
        const [first] = sent.get(`${name} 1/1/${step}`)!;
        expect(sent.get(`${name} 1/2/${step}`)).not.toContain(first);
      }
    }
    for (const digests of sent.values()) expect(digests.size).toBe(1);
  });
});

describe('the last step', () => {
  const unmasking = (request: TransportRequest) =>
    request.path.endsWith('/submissions') && contentOf(request).step === UNMASK;

  test('waits beyond its deadline for shares that are late, and the model is the same', async () => {
    const expected = await undisturbed();
    const { aggregator, groups, sent } = started();
    let down = true;
    aggregator.before = (request) => {
      if (down && unmasking(request)) throw new PluralError('STORE_UNAVAILABLE', 'the line is down');
    };
    const watching = watchAll(groups);
    await until(() => aggregator.state.step === UNMASK);
    const before = aggregator.state;
    expect(before).toMatchObject({ phase: 'collecting', step: UNMASK });
    aggregator.deliver({ type: 'deadline', round: 1, step: UNMASK });
    expect(aggregator.state).toEqual(before);
    down = false;
    await watching;
    expect(aggregator.records.map(({ updates }) => updates)).toEqual([0, 3, 3]);
    expect(aggregator.models.at(-1)!.digest).toBe(expected);
    for (const digests of sent.values()) expect(digests.size).toBe(1);
  });

  test('that is given up costs the round, and the groups go on with the next from the same model', async () => {
    const { aggregator, groups, sent } = started({ names: [...NAMES, 'd'] });
    let down = true;
    aggregator.before = (request) => {
      if (down && unmasking(request)) throw new PluralError('STORE_UNAVAILABLE', 'the line is down');
    };
    const watching = watchAll(groups);
    await until(() => aggregator.state.step === UNMASK);
    aggregator.deliver({ type: 'leave', group: 'c' });
    expect(aggregator.state.phase).toBe('collecting');
    aggregator.deliver({ type: 'leave', group: 'd' });
    expect(aggregator.state).toMatchObject({
      phase: 'failed',
      failure: '2 groups are left in round 1, 3 are needed',
    });
    for (const name of ['c', 'd']) aggregator.enrol(name, identityOfFake(name).publicKey);
    down = false;
    aggregator.deliver({ type: 'start' });
    const outcomes = await watching;
    const [start, skipped, last] = aggregator.models;
    expect(aggregator.records.map(({ round, updates }) => [round, updates])).toEqual([
      [0, 0],
      [1, 0],
      [2, 4],
    ]);
    expect(skipped!.digest).toBe(start!.digest);
    for (const [index, group] of groups.entries()) {
      expect(outcomes[index]).toMatchObject({ round: 2, ended: 'finished', model: last!.digest });
      expect(group.work.trained).toEqual([1, 2]);
      expect(openedBy(aggregator, group)).toBe(2);
      expect(group.store.loadRecord().satOut).toBeNull();
    }
    expect([...sent.keys()].filter((place) => place.includes(' 1/2/'))).toEqual([]);
  });
});

describe('keys of other groups', () => {
  const listed = NAMES.map((name) => [name, identityOfFake(name).publicKey] as const);

  test('that are those of the list are accepted', async () => {
    const { aggregator, groups } = started({ rounds: 1, knownPeers: listed });
    await watchAll(groups);
    expect(aggregator.state.phase).toBe('finished');
  });

  test.each([
    ['one has another key than in the list', [...listed.slice(0, 2), ['c', 'ab'.repeat(32)] as const]],
    ['one is not in the list', listed.slice(0, 2)],
  ])('where %s nothing but keys is sent', async (_, knownPeers) => {
    const { groups, sent } = started({ rounds: 1, knownPeers });
    const results = await Promise.allSettled(groups.map((group) => group.start().watch()));
    for (const result of results.slice(0, 2)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'AGGREGATOR_UNTRUSTED' } });
    }
    expect([...sent.keys()].filter((place) => /^[ab] /.test(place) && !place.endsWith('/0'))).toEqual([]);
  });

  test('that changed since they were first seen end it', async () => {
    const { groups } = started({ rounds: 1 });
    const [group, ...others] = groups as [FakeGroup, ...FakeGroup[]];
    const record = group.store.loadRecord();
    group.store.saveRecord({ ...record, peers: [['b', 'ab'.repeat(32)]] });
    for (const other of others) watchAside(other);
    await expect(group.start().watch()).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
  });
});
