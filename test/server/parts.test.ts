import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf, hexOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { maskOptions, maskSettings } from '../../src/privacy/mask/settings.ts';
import { readersFingerprint } from '../../src/privacy/readers-key.ts';
import { readModel, recordsAfter } from '../../src/server/models.ts';
import { Parts } from '../../src/wire/parts.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { plainSumOf } from '../support/exact-rounds.ts';
import { fakeUpdate, groupsRun } from '../support/groups-run.ts';
import { SHAPE, updateOf } from '../support/protected-round.ts';
import { openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';

/** Runs on the real server whose rounds send a part of the parameters each. */

const GROUPS = ['ada', 'bo', 'cy'];
const READERS = Buffer.from(sha256('readers of parts'), 'hex');
const ROUNDS = 3;
const PARTS = 2;
const SEED = 11;
const OPTIONS = { mostGroups: 8, clipValue: 0.1, bits: 8 };

let server: TestAggregator;

beforeAll(async () => {
  server = await openTestAggregator();
});
afterAll(() => server.close());

function planWith(change: object): RunPlan {
  const { config, ...plan } = tinyPlan({ quorum: GROUPS.length }, ROUNDS);
  const data = { survey: 'tiny', groups: { training: GROUPS.length, unseen: 1 } };
  const strategy = { name: 'fedavg', weighting: 'equal' };
  return { ...plan, config: { ...config, seed: SEED, data, strategy, updates: { parts: PARTS }, ...change } };
}

const partsOf = (parameters: number) => new Parts({ seed: SEED, parts: PARTS, parameters, always: null });

describe('a masked run', () => {
  test('adds the quantised numbers of a part in each round, bit for bit, and moves no other', async () => {
    const plan = planWith({ protection: { name: 'mask', ...OPTIONS } });
    const { run, outcomes } = await groupsRun({ server, groups: GROUPS, plan });
    for (const { ended } of await outcomes) expect(ended).toBe('finished');
    const records = await recordsAfter(server.aggregator, run, -1);
    expect(records.map(({ updates }) => updates)).toEqual([0, 3, 3, 3]);
    const models = await Promise.all(records.map((record) => readModel(server.aggregator, record)));
    const parts = partsOf(plan.parameters);
    const settings = maskSettings(maskOptions.parse(OPTIONS), { ...SHAPE, mostWeight: 1, seed: SEED });
    for (const [index, model] of models.slice(1).entries()) {
      const before = models[index]!;
      const { round } = model;
      const sent = GROUPS.map((group) => {
        const { delta } = fakeUpdate(group, round, before, null);
        const part = [...parts.positionsOf(round)].map((position) => delta[position]!);
        return updateOf(group, 1, part, { round });
      });
      const { weightedSum } = plainSumOf(sent, settings);
      const mean = new Float64Array(plan.parameters);
      for (const [i, position] of parts.positionsOf(round).entries())
        mean[position] = weightedSum[i]! / GROUPS.length;
      expect(model.parameters).toEqual(before.parameters.map((value, i) => value + mean[i]!));
      expect(model.parameters).not.toEqual(before.parameters);
    }
    expect(server.failures).toEqual([]);
  });
});

test('groups that hold the model themselves come to the same bytes, and move a part in each round', async () => {
  const plan = planWith({
    protection: { name: 'seal', mostGroups: 8 },
    aggregator: { holds: 'ciphertext', readers: readersFingerprint(READERS) },
  });
  const { outcomes, models } = await groupsRun({
    server,
    groups: GROUPS,
    plan,
    readersKeyOf: () => READERS,
  });
  for (const { ended } of await outcomes) expect(ended).toBe('finished');
  const seenBy = (group: string, round: number) => models.get(group)!.get(round)!;
  expect(new Set(GROUPS.map((group) => hexOf(bytesOf(seenBy(group, ROUNDS))))).size).toBe(1);
  for (let round = 1; round <= ROUNDS; round++) {
    const [before, after] = [seenBy('ada', round - 1), seenBy('ada', round)];
    const moved = [...after.keys()].filter((position) => after[position] !== before[position]);
    const sent = [...partsOf(plan.parameters).positionsOf(round)];
    expect(sent).toEqual(expect.arrayContaining(moved));
    expect(moved.length).toBeGreaterThan(0.9 * sent.length);
  }
});
