import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STEP, sharesMessage } from '../../src/privacy/mask/messages.ts';
import { openMessage, STEP as SEAL_STEP } from '../../src/privacy/seal/messages.ts';
import { leave } from '../../src/server/members.ts';
import { readModel, recordsAfter } from '../../src/server/models.ts';
import { createRun, definitionOf, startRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { cleanUp, passDeadlines } from '../../src/server/sweep.ts';
import { checkChain } from '../../src/wire/model-record.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { type GroupsOptions, type GroupsRun, groupsRun, type Lie } from '../support/groups-run.ts';
import { openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';

/** Masked runs on the real server: what becomes of a round whose last step or whose fold goes wrong. */

let now = 1_800_000_000_000;
let test_: TestAggregator;

beforeAll(async () => {
  test_ = await openTestAggregator({ clock: { now: () => now } });
});
afterAll(() => test_.close());

const GROUPS = ['ada', 'bo', 'cy', 'di'];

function maskedPlan(change: Partial<RunPlan> = {}, name = 'mask', options: object = {}): RunPlan {
  const { config, ...plan } = tinyPlan({ quorum: 3, ...change }, 2);
  const data = { survey: 'tiny', groups: { training: GROUPS.length, unseen: 1 } };
  return { ...plan, config: { ...config, data, protection: { name, mostGroups: 8, ...options } } };
}

interface Options extends Pick<GroupsOptions, 'lie' | 'holds'> {
  /** The protection; left out: masking. */
  readonly name?: string;
  readonly options?: object;
}

/** A run that all groups have joined before the first of them looks what is asked. */
function masked({ name = 'mask', options = {}, ...rest }: Options = {}): Promise<GroupsRun> {
  const plan = maskedPlan({}, name, options);
  return groupsRun({ server: test_, groups: GROUPS, plan, now: () => now, ...rest });
}

/** All that must hold of a run of two rounds in which the first was skipped. */
async function expectSkipped({ run, outcomes, stores }: GroupsRun, updates: number): Promise<void> {
  const { aggregator } = test_;
  for (const { ended, model, round } of await outcomes) {
    expect({ ended, model, round }).toMatchObject({ ended: 'finished', round: 2 });
  }
  const records = await recordsAfter(aggregator, run, -1);
  expect(records.map((record) => [record.round, record.updates])).toEqual([
    [0, 0],
    [1, 0],
    [2, updates],
  ]);
  const [start, skipped, last] = records;
  expect(skipped!.model).toBe(start!.model);
  expect(last!.model).not.toBe(start!.model);
  const { digest } = await definitionOf(aggregator, run);
  const trust = { run: digest, aggregatorKey: aggregator.identity.publicKey };
  expect(checkChain(records, trust, null)).toEqual(last);
  // The blob of the skipped model is that of the one before, and stays.
  await cleanUp(aggregator);
  for (const record of records) {
    expect((await readModel(aggregator, record)).digest).toBe(record.model);
  }
  const { phase, scores, history } = await statusOf(aggregator, run);
  expect(phase).toBe('finished');
  expect(history[1]!.uploadedBytes).toBe(0);
  // What groups told of the first model went into the sum that was not opened.
  expect(scores.map(({ round }) => round)).toEqual([1]);
  for (const store of stores.values()) {
    expect(store.loadOpened(digest)).toBe(2);
    // Nobody who gets hold of it later finds the secret of a round, or what was shown in it.
    expect(store.loadRecord().attempt).toBeNull();
    for (const step of Object.values(STEP)) {
      expect(store.loadShown({ round: 2, attempt: 1, step })).toBeNull();
    }
  }
  expect(test_.failures).toEqual([]);
}

describe('a round whose sum cannot be opened', () => {
  test('fails, names the group whose shares are missing, and is skipped when the run is started again', async () => {
    const nonsense: Lie = (group, round, step, answer) => {
      if (group !== 'cy' || round !== 1 || step !== STEP.shares) return answer;
      const { sealed, ...shares } = sharesMessage.read(answer)!;
      return sharesMessage.write({ ...shares, sealed: sealed.map(() => new Uint8Array(80).fill(5)) });
    };
    const played = await masked({ lie: nonsense });
    const { run } = played;
    const { failure, round, history } = await played.until(({ phase }) => phase === 'failed');
    expect(failure).toMatch(/^round 1 makes no model: .*neighbours of group "cy"/);
    expect([round, history.length]).toEqual([1, 1]);
    await startRun(test_.aggregator, run);
    // The fourth joined when the run had begun with three, and takes part from the second round on.
    await expectSkipped(played, 4);
  });
});

test('a round that fails when updates were sent is skipped, and one that fails before is opened again', async () => {
  let heldStep: number | null = STEP.shares;
  const played = await masked({
    holds: (group, { round, step }) => group === 'bo' && round === 1 && step === heldStep,
  });
  const { run } = played;
  const late = async (name: string) => {
    await played.until(({ step, replied }) => step === name && replied === 2);
    now += maskedPlan().deadlineMs;
    await passDeadlines(test_.aggregator);
    const { phase, failure } = await statusOf(test_.aggregator, run);
    expect([phase, failure]).toEqual(['failed', expect.stringContaining('2 of 3 needed')]);
  };
  await late('shares');
  heldStep = null;
  // With the fourth, three of four are enough; so nobody may be late but two.
  await leave(test_.aggregator, run, 'di');
  heldStep = STEP.upload;
  await startRun(test_.aggregator, run);
  await late('upload');
  heldStep = null;
  await played.joinAgain('di');
  await startRun(test_.aggregator, run);
  await expectSkipped(played, 4);
});

describe('the last step', () => {
  test('waits beyond its deadline, and takes what comes late', async () => {
    let held = true;
    const { run, outcomes, until } = await masked({
      holds: (group, { round, step }) => held && group !== 'ada' && round === 1 && step === STEP.unmask,
    });
    const plan = maskedPlan();
    await until(({ step, replied }) => step === 'unmask' && replied === 1);
    now += plan.deadlineMs;
    await passDeadlines(test_.aggregator);
    await passDeadlines(test_.aggregator);
    expect(await statusOf(test_.aggregator, run)).toMatchObject({
      phase: 'collecting',
      round: 1,
      step: 'unmask',
      replied: 1,
      failure: null,
    });
    held = false;
    await outcomes;
    const { phase, history } = await statusOf(test_.aggregator, run);
    expect(phase).toBe('finished');
    expect(history.map(({ updates }) => updates)).toEqual([0, 3, 4]);
  });

  test('that too many leave fails, and the round is skipped when the run is started again', async () => {
    let held = true;
    const played = await masked({
      holds: (group, { round, step }) => held && group !== 'ada' && round === 1 && step === STEP.unmask,
    });
    const { run } = played;
    await played.until(({ step, replied }) => step === 'unmask' && replied === 1);
    await leave(test_.aggregator, run, 'bo');
    expect(await statusOf(test_.aggregator, run)).toMatchObject({
      phase: 'failed',
      failure: '2 groups are left in round 1, 3 are needed',
    });
    held = false;
    await played.joinAgain('bo');
    await startRun(test_.aggregator, run);
    await expectSkipped(played, 4);
  });
});

test('a run whose quorum is smaller than what its protection hides a group among is not made', async () => {
  const made = createRun(test_.aggregator, { name: 'small', plan: maskedPlan({ quorum: 2 }) });
  await expect(made).rejects.toMatchObject({
    code: 'CONFIG_CONFLICT',
    message: 'the plan says a quorum of 2, protection "mask" needs at least 3 groups',
  });
});

test('under seal a member that gives a wrong share is named, and the round makes a model all the same', async () => {
  const liar: Lie = (group, round, step, answer) => {
    if (group !== 'cy' || round !== 2 || step !== SEAL_STEP.open) return answer;
    const { roster, share } = openMessage.read(answer)!;
    return openMessage.write({ roster, share: share!.map((byte, at) => (at === 7 ? byte ^ 1 : byte)) });
  };
  // Two answers more than the threshold tell which one is wrong.
  const committee = { members: GROUPS, threshold: 2 };
  const { run, outcomes } = await masked({ name: 'seal', options: { committee }, lie: liar });
  for (const { ended, round } of await outcomes)
    expect({ ended, round }).toEqual({ ended: 'finished', round: 2 });
  const records = await recordsAfter(test_.aggregator, run, -1);
  expect(records.map(({ updates }) => updates)).toEqual([0, 3, 4]);
  const events = await test_.aggregator.db
    .selectFrom('events')
    .select('data')
    .where('run', '=', run)
    .where('type', '=', 'accused')
    .execute();
  expect(events).toMatchObject([{ data: { round: 2, groups: ['cy'] } }]);
});

test('under seal a sum that lacks a member waits for it, although enough others have replied', async () => {
  let held = true;
  const committee = { members: ['ada', 'bo'], threshold: 2 };
  const { run, outcomes, until } = await masked({
    name: 'seal',
    options: { committee },
    holds: (group, { round, step }) => held && group === 'bo' && round === 2 && step === SEAL_STEP.open,
  });
  await until(({ round, step, replied }) => round === 2 && step === 'open' && replied === 3);
  for (let turn = 0; turn < 3; turn++) {
    now += maskedPlan().deadlineMs;
    await passDeadlines(test_.aggregator);
    const status = await until(({ phase }) => phase !== 'folding');
    expect(status).toMatchObject({ phase: 'collecting', round: 2, step: 'open', replied: 3, failure: null });
  }
  held = false;
  for (const { ended } of await outcomes) expect(ended).toBe('finished');
  const { history } = await statusOf(test_.aggregator, run);
  expect(history.map(({ updates }) => updates)).toEqual([0, 3, 4]);
});
