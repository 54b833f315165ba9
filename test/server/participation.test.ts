import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf, hexOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { readersFingerprint } from '../../src/privacy/readers-key.ts';
import { drawGroups } from '../../src/round/draw-groups.ts';
import { leave } from '../../src/server/members.ts';
import { readModel, recordsAfter } from '../../src/server/models.ts';
import { createRun, startRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { passDeadlines } from '../../src/server/sweep.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { fakeUpdate, groupsRun } from '../support/groups-run.ts';
import { openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';

/** Runs on the real server whose rounds ask some of the groups, with strategies that remember something. */

const GROUPS = ['ada', 'bo', 'cy', 'di', 'eve'];
const READERS = Buffer.from(sha256('readers of some'), 'hex');
const ROUNDS = 3;

let now = 1_800_000_000_000;
let server: TestAggregator;

beforeAll(async () => {
  server = await openTestAggregator({ clock: { now: () => now } });
});
afterAll(() => server.close());

/** Three of five groups in each round. */
function planWith(change: object, quorum = 3): RunPlan {
  const { config, ...plan } = tinyPlan({ quorum }, ROUNDS);
  const data = { survey: 'tiny', groups: { training: GROUPS.length, unseen: 1 } };
  const round = { participation: 0.6 };
  const protection = { name: 'mask', mostGroups: 8, clipValue: 0.1 };
  return { ...plan, config: { ...config, seed: 11, data, round, protection, ...change } };
}

const drawnIn = (round: number, enrolled: readonly string[] = GROUPS) =>
  drawGroups({ participation: { seed: 11, share: 0.6, begin: 5 }, quorum: 3, enrolled }, round);

describe('a masked run with server momentum', () => {
  test('asks three of five in each round, begins when all are there, and goes on with every group', async () => {
    const strategy = { name: 'diloco', weighting: 'equal' };
    const played = await groupsRun({ server, groups: GROUPS, plan: planWith({ strategy }), now: () => now });
    const { run, outcomes, events } = played;
    for (const { ended } of await outcomes) expect(ended).toBe('finished');
    const records = await recordsAfter(server.aggregator, run, -1);
    expect(records.map(({ updates }) => updates)).toEqual([0, 3, 3, 3]);
    const trainedIn = (round: number) =>
      GROUPS.filter((group) =>
        events.get(group)!.some((event) => event.type === 'trained' && event.round === round),
      );
    for (let round = 1; round <= ROUNDS; round++) expect(trainedIn(round)).toEqual(drawnIn(round));
    // Nobody is left out of what comes of a round.
    for (const group of GROUPS) {
      const seen = events.get(group)!.flatMap((event) => (event.type === 'model' ? [event.round] : []));
      expect(seen).toContain(ROUNDS);
    }
    expect(server.failures).toEqual([]);
    // Nesterov's momentum, from the updates that the drawn groups made of the models as they were published.
    const [start, ...models] = await Promise.all(
      records.map((record) => readModel(server.aggregator, record)),
    );
    let before = start!;
    let outer = [...before.parameters].map(() => 0);
    for (const model of models) {
      const deltas = drawnIn(model.round).map((group) => fakeUpdate(group, model.round, before, null).delta);
      const mean = [...before.parameters].map((_, i) =>
        deltas.reduce((sum, delta) => sum + delta[i]! / 3, 0),
      );
      outer = outer.map((value, i) => 0.9 * value + mean[i]!);
      for (const [i, value] of model.parameters.entries()) {
        const expected = before.parameters[i]! + 0.7 * (mean[i]! + 0.9 * outer[i]!);
        // A few steps of the mask's grid, where updates are a thousand times as long.
        expect(Math.abs(value - expected)).toBeLessThan(2e-5);
      }
      before = model;
    }
  });

  test('waits for all training groups, not for a quorum alone', async () => {
    const { run } = await createRun(server.aggregator, { name: 'waits', plan: planWith({}) });
    expect((await statusOf(server.aggregator, run)).summary).toContain('0 of the 5');
  });

  test('with a group that is drawn and gone: another takes its place once it has left', async () => {
    const [gone] = drawnIn(1);
    const left = GROUPS.filter((group) => group !== gone);
    const plan = planWith({});
    const played = await groupsRun({ server, groups: GROUPS, plan, now: () => now, away: [gone!] });
    await played.until(({ replied }) => replied === 2);
    now += plan.deadlineMs;
    await passDeadlines(server.aggregator);
    expect(await statusOf(server.aggregator, played.run)).toMatchObject({ phase: 'failed', round: 1 });
    await leave(server.aggregator, played.run, gone!);
    await startRun(server.aggregator, played.run);
    await played.outcomes;
    const trained = left.filter((group) =>
      played.events
        .get(group)!
        .some((event) => event.type === 'sent' && event.round === 1 && event.step === 2),
    );
    expect(trained).toEqual(drawnIn(1, left));
    expect(trained).toEqual(expect.arrayContaining(drawnIn(1).filter((group) => group !== gone)));
  });
});

test('groups that hold the model themselves come to the same bytes, also after rounds without them', async () => {
  const plan = planWith({
    strategy: { name: 'fedopt', weighting: 'equal' },
    protection: { name: 'seal', mostGroups: 8 },
    aggregator: { holds: 'ciphertext', readers: readersFingerprint(READERS) },
  });
  const played = await groupsRun({
    server,
    groups: GROUPS,
    plan,
    now: () => now,
    readersKeyOf: () => READERS,
  });
  for (const { ended } of await played.outcomes) expect(ended).toBe('finished');
  const endings = GROUPS.map((group) => hexOf(bytesOf(played.models.get(group)!.get(ROUNDS)!)));
  expect(new Set(endings).size).toBe(1);
  const starts = GROUPS.map((group) => hexOf(bytesOf(played.models.get(group)!.get(0)!)));
  expect(starts).not.toContain(endings[0]);
});
