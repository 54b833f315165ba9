import { describe, expect, test } from 'vitest';
import { sitsOut } from '../../src/client/failures.ts';
import { PluralError } from '../../src/core/errors.ts';
import { recordDigest, signRecord } from '../../src/wire/model-record.ts';
import { decodeSubmission } from '../../src/wire/submission.ts';
import { FakeAggregator } from './fake-aggregator.ts';
import { type FakeGroup, fakeGroup, Killed, limited, until } from './fake-group.ts';

const SIZE = { parameters: 50, rounds: 4 };

function started(groups: number, options: Partial<typeof SIZE> = {}) {
  const aggregator = new FakeAggregator({ ...SIZE, ...options, quorum: groups });
  const names = Array.from({ length: groups }, (_, index) => `g${index}`);
  const all = names.map((name) => fakeGroup(aggregator, name));
  aggregator.deliver({ type: 'start' });
  return { aggregator, groups: all };
}

function typesOf({ events }: FakeGroup): string[] {
  return events.map(({ type }) => type);
}

/** What a run of one group ends with when nothing goes wrong. */
async function undisturbed(): Promise<{ model: string; accepted: readonly string[] }> {
  const { aggregator, groups } = started(1);
  await groups[0]!.start().watch();
  return { model: aggregator.models.at(-1)!.digest, accepted: aggregator.accepted };
}

describe('watch', () => {
  test('takes part in every round, verifies every model, and ends with it', async () => {
    const { aggregator, groups } = started(3);
    const outcomes = await Promise.all(groups.map((group) => group.start().watch()));
    expect(aggregator.state.phase).toBe('finished');
    const last = aggregator.models.at(-1)!;
    expect(last.round).toBe(4);
    for (const [index, outcome] of outcomes.entries()) {
      const { work, store } = groups[index]!;
      expect(work.trained).toEqual([1, 2, 3, 4]);
      expect(outcome).toMatchObject({ round: 4, ended: 'finished', loss: 1 / 4, model: last.digest });
      expect(Buffer.from(store.loadModel()!).equals(Buffer.from(last.parameters.buffer))).toBe(true);
    }
  });

  test('tells the score of each model once, with the loss of the round that made it', async () => {
    const { aggregator, groups } = started(1);
    await groups[0]!.start().watch();
    const told = aggregator.scores.map(({ round, loss, alignment }) => ({ round, loss, alignment }));
    expect(told).toEqual(
      [0, 1, 2, 3, 4].map((round) => ({
        round,
        loss: round === 0 ? null : 1 / round,
        alignment: 0.5 + round / 100,
      })),
    );
  });

  test('tells no score where that is not wanted, and scores all the same', async () => {
    const aggregator = new FakeAggregator({ ...SIZE, rounds: 1 });
    const group = fakeGroup(aggregator, 'quiet', { tellScores: false });
    aggregator.deliver({ type: 'start' });
    const outcome = await group.start().watch();
    expect(aggregator.scores).toEqual([]);
    expect(outcome.score).toEqual({ round: 1, alignment: 0.51, questions: 7 });
  });

  test('a score that is not taken does not end the run', async () => {
    const { aggregator, groups } = started(1, { rounds: 2 });
    aggregator.before = ({ path }) => {
      if (path.endsWith('/scores')) throw new PluralError('UPDATE_OF_ANOTHER_MODEL', 'not that one');
    };
    await groups[0]!.start().watch();
    expect(aggregator.state.phase).toBe('finished');
    expect(groups[0]!.events).toContainEqual({
      type: 'warning',
      message: 'the score of round 0 was not taken: not that one',
    });
  });

  describe('a model that cannot be scored', () => {
    /** A run of two groups, of which the first has no finite predictions from the model of round 1. */
    function unscored() {
      const { aggregator, groups } = started(2, { rounds: 2 });
      const [one, other] = groups;
      const { score } = one!.work;
      one!.work.score = async (model) => {
        if (model.round === 1) throw new PluralError('NOT_FINITE', 'a share is NaN');
        return score(model);
      };
      return { aggregator, one: one!, other: other! };
    }

    test('is told of once, however often the task is asked for, and the run goes on', async () => {
      const { aggregator, one, other } = unscored();
      const watching = one.start().watch();
      await other.start().takeRound();
      const requests = aggregator.log.length;
      await until(() => aggregator.log.length > requests + 20);
      await other.start().watch();
      await watching;
      const told = aggregator.scores.filter(({ group }) => group === one.group);
      expect(told.map(({ round }) => round)).toEqual([0, 2]);
      const message = 'the model of round 1 cannot be scored: a share is NaN';
      expect(one.events.filter(({ type }) => type === 'warning')).toEqual([{ type: 'warning', message }]);
    });

    test('has no score, not that of the one before it', async () => {
      const { one, other } = unscored();
      const [outcome] = await Promise.all([one.start().takeRound(), other.start().takeRound()]);
      expect(outcome).toMatchObject({ round: 1, score: null });
    });
  });

  test('a round that its work gives it no part in is sat out with a reason, and the next one is not', async () => {
    const { aggregator, groups } = started(2, { rounds: 2 });
    const [one, other] = groups as [FakeGroup, FakeGroup];
    const { update } = one.work;
    one.work.update = async (opening, model, told) => {
      if (opening.round === 1) throw sitsOut(1, 'the model has no score');
      return update(opening, model, told);
    };
    const watching = Promise.all([one.start().watch(), other.start().watch()]);
    await until(() => one.store.loadRecord().satOut !== null && aggregator.state.replies[0]?.length === 1);
    expect(one.events.filter(({ type }) => type === 'refused')).toEqual([
      expect.objectContaining({ code: 'ROUND_REFUSED', message: expect.stringContaining('has no score') }),
    ]);
    // Of two groups both are needed: the round is opened again, and the group has another try.
    one.work.update = update;
    aggregator.deliver({ type: 'deadline', round: 1, step: 0 });
    aggregator.deliver({ type: 'start' });
    await watching;
    expect(aggregator.state).toMatchObject({ phase: 'finished', round: 2 });
    expect(one.work.trained).toEqual([1, 2]);
  });

  test('ends with the model so far where the run is stopped', async () => {
    const { aggregator, groups } = started(2);
    const [one, other] = groups;
    const together = Promise.all([one!.start().takeRound(), other!.start().takeRound()]);
    await together;
    aggregator.deliver({ type: 'stop' });
    const outcome = await one!.start().watch();
    expect(outcome).toMatchObject({ ended: 'stopped', model: aggregator.models.at(-1)!.digest });
    expect(outcome.exported).toBe('memory');
  });

  test('keeps waiting where the run is at a standstill, and goes on when it is opened again', async () => {
    const aggregator = new FakeAggregator({ ...SIZE, rounds: 1, quorum: 2 });
    const sleep = limited(10, (count) => {
      if (count === 2) aggregator.deliver({ type: 'deadline', round: 1, step: 0 });
      if (count === 4) {
        fakeGroup(aggregator, 'second').start().watch();
        aggregator.deliver({ type: 'start' });
      }
    });
    const group = fakeGroup(aggregator, 'first', { sleep });
    fakeGroup(aggregator, 'absent');
    aggregator.deliver({ type: 'start' });
    aggregator.deliver({ type: 'leave', group: 'absent' });
    aggregator.deliver({ type: 'deadline', round: 1, step: 0 });
    expect(aggregator.state.phase).toBe('failed');
    await group.start().watch();
    expect(aggregator.state.phase).toBe('finished');
    expect(group.events).toContainEqual(expect.objectContaining({ type: 'phase', phase: 'failed' }));
  });
});

describe('takeRound', () => {
  test('takes part in one round and waits for the model that comes of it', async () => {
    const { aggregator, groups } = started(1);
    const outcome = await groups[0]!.start().takeRound();
    expect(outcome).toMatchObject({ round: 1, ended: null, loss: 1, exported: null });
    expect(outcome.score).toEqual({ round: 1, alignment: 0.51, questions: 7 });
    expect(outcome.model).toBe(aggregator.models[1]!.digest);
  });

  test('one call, one round: each starts from what the one before has stored', async () => {
    const { aggregator, groups } = started(1);
    const rounds = [];
    for (let call = 0; call < 4; call++) rounds.push(await groups[0]!.start().takeRound());
    expect(rounds.map(({ round }) => round)).toEqual([1, 2, 3, 4]);
    expect(rounds.map(({ ended }) => ended)).toEqual([null, null, null, 'finished']);
    expect(await groups[0]!.start().takeRound()).toMatchObject({ round: null, ended: 'finished' });
    const fetched = aggregator.log.filter((line) => line.endsWith('/parameters'));
    expect(fetched.map((line) => /models\/(\d)/.exec(line)![1])).toEqual(['0', '1', '2', '3', '4']);
  });

  test('a round that was answered before a restart is waited for, not skipped', async () => {
    const aggregator = new FakeAggregator({ ...SIZE, quorum: 2 });
    const first = fakeGroup(aggregator, 'first', { sleep: limited(3) });
    const second = fakeGroup(aggregator, 'second');
    aggregator.deliver({ type: 'start' });
    await expect(first.start().takeRound()).rejects.toThrow('still waiting');
    expect(first.store.loadRecord().machine).toMatchObject({ phase: 'sent', round: 1 });
    await expect(first.start().takeRound()).rejects.toThrow('still waiting');
    await second.start().takeRound();
    // Round 1 is published meanwhile, so the next call is about round 2.
    const next = first.start().takeRound();
    await expect(next).rejects.toThrow('still waiting');
    expect(first.work.trained).toEqual([1, 2]);
    expect(first.store.loadRecord()).toMatchObject({ concluded: 1, machine: { phase: 'sent', round: 2 } });
  });

  test('ends with ROUND_FAILED where the round it answered is given up', async () => {
    const aggregator = new FakeAggregator({ ...SIZE, quorum: 2 });
    const sleep = limited(10, (count) => {
      if (count === 2) aggregator.deliver({ type: 'deadline', round: 1, step: 0 });
    });
    const group = fakeGroup(aggregator, 'first', { sleep });
    fakeGroup(aggregator, 'absent');
    aggregator.deliver({ type: 'start' });
    await expect(group.start().takeRound()).rejects.toMatchObject({ code: 'ROUND_FAILED' });
    aggregator.deliver({ type: 'start' });
    await expect(group.start().takeRound()).rejects.toThrow('still waiting');
    // The round that was opened again gets the same bytes.
    expect(new Set(aggregator.accepted.map((line) => line.split('/')[2])).size).toBe(1);
    expect(aggregator.accepted).toHaveLength(2);
  });
});

describe('a group that was away', () => {
  test('for three rounds takes part in the current one without hand-work', async () => {
    const aggregator = new FakeAggregator({ ...SIZE, rounds: 6 });
    const away = fakeGroup(aggregator, 'away');
    const here = fakeGroup(aggregator, 'here');
    aggregator.deliver({ type: 'start' });
    const first = away.start().takeRound();
    await here.start().takeRound();
    expect(await first).toMatchObject({ round: 1 });
    for (let round = 2; round <= 4; round++) {
      const absent = here.start().takeRound();
      // The quorum is 1: the deadline ends a round that one of two answered.
      await until(() => aggregator.state.round === round && aggregator.state.replies[0]?.length === 1);
      aggregator.deliver({ type: 'deadline', round, step: 0 });
      expect(await absent).toMatchObject({ round });
    }
    const [back] = await Promise.all([away.start().takeRound(), here.start().takeRound()]);
    expect(back).toMatchObject({ round: 5 });
    expect(away.work.trained).toEqual([1, 5]);
    expect(away.store.loadRecord().head?.round).toBe(5);
  });

  test('and whose unsent update is of a round that is over drops it', async () => {
    const { aggregator, groups } = started(1);
    const [group] = groups;
    aggregator.before = ({ method }) => {
      if (method === 'PUT') throw new PluralError('BODY_DIGEST', 'cannot be sent');
    };
    await expect(group!.start().watch()).rejects.toMatchObject({ code: 'BODY_DIGEST' });
    expect(group!.store.loadRecord().machine).toMatchObject({ phase: 'sending', round: 1 });
    aggregator.before = () => undefined;
    const other = fakeGroup(aggregator, 'other');
    aggregator.deliver({ type: 'leave', group: 'g0' });
    aggregator.deliver({ type: 'start' });
    await other.start().takeRound();
    aggregator.enrol('g0', group!.identity.publicKey);
    await other.start().takeRound();
    const [outcome] = await Promise.all([group!.start().takeRound(), other.start().takeRound()]);
    expect(outcome.round).toBe(3);
    expect(aggregator.accepted.filter((line) => line.includes('/g0/'))).toHaveLength(1);
  });
});

describe('kill -9', () => {
  test('at every write of a run: the restarted group ends with the same bytes', async () => {
    const expected = await undisturbed();
    const { groups } = started(1);
    await groups[0]!.start().watch();
    const writes = groups[0]!.store.writes.length;
    expect(writes).toBeGreaterThan(20);
    for (let left = 0; left < writes; left++) {
      const { aggregator, groups: killed } = started(1);
      const [group] = killed;
      group!.store.left = left;
      await expect(group!.start().watch()).rejects.toThrow(Killed);
      group!.store.left = Number.POSITIVE_INFINITY;
      await group!.start().watch();
      expect(aggregator.models.at(-1)!.digest, `killed at write ${left}`).toBe(expected.model);
      expect(aggregator.accepted).toEqual(expected.accepted);
    }
  });

  test('at every request of a run, before or after it was carried out: the same bytes', async () => {
    const expected = await undisturbed();
    const { aggregator: whole, groups } = started(1);
    await groups[0]!.start().watch();
    for (const carriedOut of [false, true]) {
      for (let request = 0; request < whole.log.length; request++) {
        const aggregator = new FakeAggregator(SIZE);
        let left = request;
        const group = fakeGroup(aggregator, 'g0', {
          transport: async (asked) => {
            if (left-- !== 0) return aggregator.transport(asked);
            if (carriedOut) await aggregator.transport(asked);
            throw new Killed();
          },
        });
        aggregator.deliver({ type: 'start' });
        await expect(group.start().watch()).rejects.toThrow(Killed);
        await group.start().watch();
        expect(aggregator.models.at(-1)!.digest, `killed at request ${request}`).toBe(expected.model);
        expect(aggregator.accepted).toEqual(expected.accepted);
      }
    }
  });
});

describe('what the aggregator does not take', () => {
  test('makes the group look at the task again, and it takes part in the next round', async () => {
    const { aggregator, groups } = started(1);
    const [group] = groups;
    const other = fakeGroup(aggregator, 'other');
    let late = true;
    aggregator.before = ({ path }) => {
      if (!path.endsWith('/submissions') || !late) return;
      late = false;
      // While the update is on its way the round ends without it.
      aggregator.deliver({ type: 'leave', group: 'g0' });
      aggregator.deliver({ type: 'start' });
      aggregator.enrol('g0', group!.identity.publicKey);
    };
    await Promise.all([group!.start().watch(), other.start().watch()]);
    expect(group!.events).toContainEqual(
      expect.objectContaining({ type: 'refused', round: 1, code: 'GROUP_NOT_ASKED' }),
    );
    const taken = aggregator.accepted.filter((line) => line.includes('/g0/'));
    expect(taken.map((line) => line[0])).toEqual(['2', '3', '4']);
  });

  test('is not sent for ever', async () => {
    const { aggregator, groups } = started(1);
    aggregator.before = ({ path }) => {
      if (path.endsWith('/submissions')) throw new PluralError('ROUND_REFUSED', 'never');
    };
    await expect(groups[0]!.start().watch()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
    expect(typesOf(groups[0]!).filter((type) => type === 'refused')).toHaveLength(4);
  });

  test('another update of the same group counts as its answer', async () => {
    const aggregator = new FakeAggregator({ ...SIZE, quorum: 2, rounds: 1 });
    const group = fakeGroup(aggregator, 'twin', { sleep: limited(4) });
    fakeGroup(aggregator, 'absent');
    aggregator.deliver({ type: 'start' });
    aggregator.deliver({ type: 'submission', group: 'twin', round: 1, step: 0, digest: 'f'.repeat(64) });
    await expect(group.start().watch()).rejects.toThrow('still waiting');
    expect(group.work.trained).toEqual([]);
  });

  test('a lost upload is sent again', async () => {
    const { aggregator, groups } = started(1, { rounds: 1 });
    let lost = false;
    aggregator.before = ({ path }) => {
      if (!path.endsWith('/submissions') || lost) return;
      lost = true;
      aggregator.forgetUploads();
    };
    await groups[0]!.start().watch();
    expect(aggregator.state.phase).toBe('finished');
    expect(groups[0]!.work.trained).toEqual([1]);
  });

  test('errors that waiting does not cure end with that error', async () => {
    const { aggregator, groups } = started(1);
    aggregator.before = ({ path }) => {
      if (path.endsWith('/task')) throw new PluralError('KEY_REVOKED', 'revoked');
    };
    await expect(groups[0]!.start().watch()).rejects.toMatchObject({ code: 'KEY_REVOKED' });
  });
});

describe('a model that cannot be trusted is refused, and nothing of it is stored', () => {
  /** A run of four rounds of which the group has seen the first. */
  async function afterOneRound() {
    const { aggregator, groups } = started(1);
    const [group] = groups;
    await group!.start().takeRound();
    const before = { record: group!.store.loadRecord(), model: group!.store.loadModel() };
    const refused = async () => {
      await expect(group!.start().watch()).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
      const { machine, concluded, scored, trained, ...after } = group!.store.loadRecord();
      const { head, attempt, sent, satOut, peers } = before.record;
      expect(after).toEqual({ format: 1, head, attempt, sent, satOut, peers });
      expect(group!.store.loadModel()).toEqual(before.model);
    };
    return { aggregator, group: group!, refused };
  }

  /** Publishes round 2 behind the group's back. */
  async function publish(aggregator: FakeAggregator) {
    const helper = fakeGroup(aggregator, 'helper');
    aggregator.deliver({ type: 'leave', group: 'g0' });
    aggregator.deliver({ type: 'start' });
    await helper.start().takeRound();
  }

  test('a signature of somebody else', async () => {
    const { aggregator, refused } = await afterOneRound();
    await publish(aggregator);
    aggregator.records[2] = { ...aggregator.records[2]!, signature: '0'.repeat(128) };
    await refused();
  });

  test('a history that does not go on from what is known', async () => {
    const { aggregator, refused } = await afterOneRound();
    await publish(aggregator);
    const { signature: _, ...content } = aggregator.records[2]!;
    aggregator.records[2] = signRecord(aggregator.identity, { ...content, previous: 'a'.repeat(64) });
    await refused();
  });

  test('another model of a round that is known', async () => {
    const { aggregator, refused } = await afterOneRound();
    const { signature: _, ...content } = aggregator.records[1]!;
    aggregator.records[1] = signRecord(aggregator.identity, { ...content, model: 'b'.repeat(64) });
    await refused();
  });

  test('a step back', async () => {
    const { aggregator, refused } = await afterOneRound();
    aggregator.records.splice(1);
    await refused();
  });

  test('a task that names another model than the chain', async () => {
    const { aggregator, refused } = await afterOneRound();
    await publish(aggregator);
    aggregator.tamper = ({ path }, content) => {
      if (!path.endsWith('/task')) return content;
      const record = aggregator.records[2]!;
      const { signature: _, ...real } = record;
      const forged = signRecord(aggregator.identity, { ...real, previous: recordDigest(record) });
      return { ...(content as object), model: forged };
    };
    await refused();
  });

  test('a round that the run does not have', async () => {
    const { aggregator, refused } = await afterOneRound();
    aggregator.tamper = ({ path }, content) => {
      if (!path.endsWith('/task')) return content;
      const { signature: _, ...real } = aggregator.records[1]!;
      const beyond = { ...real, round: SIZE.rounds + 1 };
      return { ...(content as object), model: signRecord(aggregator.identity, beyond) };
    };
    await refused();
  });

  test('parameters that are not what was signed', async () => {
    const { aggregator, group } = await afterOneRound();
    await publish(aggregator);
    const before = group.store.loadModel();
    aggregator.tamper = (_, content) => (content instanceof Uint8Array ? content.fill(1) : content);
    await expect(group.start().watch()).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
    expect(group.store.loadModel()).toEqual(before);
    aggregator.tamper = (_, content) => content;
    aggregator.enrol('g0', group.identity.publicKey);
  });

  test('an aggregator with another key', async () => {
    const { aggregator, refused } = await afterOneRound();
    aggregator.tamper = ({ path }, content) =>
      path === '/v1/aggregator' ? { ...(content as object), publicKey: 'c'.repeat(64) } : content;
    await refused();
  });
});

test('what is sent names the run, the model and the step it belongs to', async () => {
  const { aggregator, groups } = started(1);
  await groups[0]!.start().takeRound();
  const { origin, update } = decodeSubmission(groups[0]!.store.loadOutbox()!);
  expect(update).toMatchObject({ group: 'g0', round: 1 });
  expect(origin).toEqual({ run: aggregator.digest, model: aggregator.models[0]!.digest, step: 0 });
});
