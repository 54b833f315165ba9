import { join } from 'node:path';
import { decode } from 'cborg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf, hexOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { readersFingerprint } from '../../src/privacy/readers-key.ts';
import { STEP } from '../../src/privacy/seal/messages.ts';
import { sealOptions, sealSettings } from '../../src/privacy/seal/settings.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { createRun, startRun, stopRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { type Database, openEmbedded } from '../../src/server/store/database.ts';
import { cleanUp, passDeadlines } from '../../src/server/sweep.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { Killed } from '../client/fake-group.ts';
import { temporaryFolder } from '../support/cli.ts';
import { type GroupsOptions, type GroupsRun, groupsRun, type Lie } from '../support/groups-run.ts';
import { SHAPE } from '../support/protected-round.ts';
import { withWrongShare } from '../support/sealed-answers.ts';
import { openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';
import { contentOf, formsOf, hasTraceOf } from '../support/traces.ts';

/** Runs on the real server whose aggregator holds ciphertext. */

const GROUPS = ['ada', 'bo', 'cy', 'di'];
const READERS = Buffer.from(sha256('readers of the tests'), 'hex');
const ROUNDS = 3;

let now = 1_800_000_000_000;
const folder = temporaryFolder();
let database: Database;
let server: TestAggregator;

beforeAll(async () => {
  database = await openEmbedded(join(folder, 'database'));
  const blobs = await diskBlobs(join(folder, 'blobs'));
  server = await openTestAggregator({ clock: { now: () => now }, database, blobs });
});
afterAll(async () => {
  await server.close();
  await database.close();
});

function planWith(
  aggregator: object,
  change: Partial<RunPlan> = {},
  options: object = {},
  rounds = ROUNDS,
): RunPlan {
  const { config, ...plan } = tinyPlan({ quorum: GROUPS.length, ...change }, rounds);
  const data = { survey: 'tiny', groups: { training: GROUPS.length, unseen: 1 } };
  return {
    ...plan,
    config: { ...config, data, aggregator, protection: { name: 'seal', mostGroups: 8, ...options } },
  };
}

const HELD = { holds: 'ciphertext', readers: readersFingerprint(READERS) };

interface Options extends Partial<GroupsOptions> {
  readonly options?: object;
}

function held({ options = {}, ...rest }: Options = {}): Promise<GroupsRun> {
  const common = { server, groups: GROUPS, now: () => now, readersKeyOf: () => READERS };
  return groupsRun({ ...common, plan: planWith(HELD, {}, options), ...rest });
}

/** The model that each group ended with, by its bytes. */
function endings({ models }: GroupsRun): string[] {
  return [...models].map(([, of]) => hexOf(bytesOf(of.get(Math.max(...of.keys()))!)));
}

const warningsOf = ({ events }: GroupsRun) =>
  [...events].map(([, of]) => of.flatMap((event) => (event.type === 'warning' ? [event.message] : [])));

describe('beside the same run with an aggregator that holds the models', () => {
  let clear: GroupsRun;
  let ciphertext: GroupsRun;
  /** All that came to the aggregator and went from it in the second run, and all that its folder had then. */
  let heard: Buffer;
  let kept: Buffer;

  beforeAll(async () => {
    const passing: Buffer[] = [];
    ciphertext = await held({ wire: (_, bytes) => void passing.push(Buffer.from(bytes)) });
    await ciphertext.outcomes;
    heard = Buffer.concat(passing);
    kept = contentOf(folder);
    clear = await groupsRun({ server, groups: GROUPS, now: () => now, plan: planWith({ holds: 'clear' }) });
    await clear.outcomes;
  });

  test('all groups have the same bytes, in every round', () => {
    for (const group of GROUPS) {
      for (let round = 0; round <= ROUNDS; round++) {
        const [one, other] = [ciphertext, clear].map(({ models }) => models.get(group)!.get(round)!);
        expect(Buffer.compare(bytesOf(one!), bytesOf(other!)), `${group}, round ${round}`).toBe(0);
      }
    }
    expect(new Set(endings(ciphertext)).size).toBe(1);
    expect(warningsOf(ciphertext)).toEqual(GROUPS.map(() => []));
  });

  test('nothing that it kept or heard has 64 bytes of a model, and nothing has the key', () => {
    const models = [...clear.models.get('ada')!].filter(([round]) => round > 0);
    expect(models.map(([round]) => round)).toEqual([1, 2, 3]);
    for (const text of [heard, kept]) {
      for (const [, model] of models) expect(hasTraceOf(bytesOf(model), text)).toBe(false);
      for (const form of formsOf(READERS)) expect(text.includes(form)).toBe(false);
    }
  });

  test('where it holds the models, the same search finds them: it can tell', () => {
    const folderNow = contentOf(folder);
    for (const [, model] of clear.models.get('ada')!)
      expect(hasTraceOf(bytesOf(model), folderNow)).toBe(true);
    const { definition } = ciphertext;
    expect(heard.includes(Buffer.from(definition.nonce))).toBe(true);
    expect(kept.length).toBeGreaterThan(100_000);
  });

  test('its status has rounds and their updates, and no scores that it cannot know', async () => {
    const [one, other] = await Promise.all(
      [ciphertext, clear].map(({ run }) => statusOf(server.aggregator, run)),
    );
    expect(one!.history.map(({ updates }) => updates)).toEqual([0, 4, 4, 4]);
    expect(one).toMatchObject({ phase: 'finished', holds: 'ciphertext', scores: [] });
    expect(other).toMatchObject({ phase: 'finished', holds: 'clear' });
    expect(other!.scores.length).toBeGreaterThan(0);
    expect(server.failures).toEqual([]);
  });
});

describe('a group that was away', () => {
  /** Ends the first step of a round without those who are away. */
  async function passKeys({ until }: GroupsRun, round: number): Promise<void> {
    await until((status) => status.round === round && status.step === 'keys' && status.replied === 3);
    now += planWith(HELD).deadlineMs;
    await passDeadlines(server.aggregator);
  }

  test('reads the sums that it missed, in order, and comes to the same bytes', async () => {
    const played = await held({ plan: planWith(HELD, { quorum: 3 }), away: ['di'] });
    const { until, start, models } = played;
    // The first round is of the three who had joined when it began.
    await passKeys(played, 2);
    await until(({ round, step, replied }) => round === 3 && step === 'keys' && replied === 3);
    await start('di').watch();
    await played.outcomes;
    expect(new Set(endings(played)).size).toBe(1);
    // It scores the newest only: those in between it had no need to keep.
    expect([...models.get('di')!.keys()]).toEqual([2, 3]);
    const { history } = await statusOf(server.aggregator, played.run);
    expect(history.map(({ updates }) => updates)).toEqual([0, 3, 3, 4]);
  });

  test('goes on to the same bytes wherever it is killed on the way', async () => {
    const played = await held({ plan: planWith(HELD, { quorum: 3 }), away: ['di'] });
    for (const round of [2, 3]) await passKeys(played, round);
    await played.outcomes;
    const { stores, start, models } = played;
    const store = stores.get('di')!;
    const wanted = endings({ ...played, models: new Map([['ada', models.get('ada')!]]) })[0]!;
    for (let writes = 0, killed = true; killed; writes++) {
      store.left = writes === 0 ? 0 : 1;
      killed = await start('di')
        .watch()
        .then(() => false)
        .catch((thrown) => thrown instanceof Killed || Promise.reject(thrown));
      if (writes > 50) throw new Error('it does not get on');
    }
    expect(store.writes.filter((what) => what === 'clear model').length).toBe(4);
    expect(hexOf(bytesOf(models.get('di')!.get(3)!))).toBe(wanted);
  });

  test('begins anew where what it kept is damaged', async () => {
    const played = await held();
    await played.outcomes;
    const { stores, start } = played;
    stores.get('bo')!.saveClearModel(Buffer.from('damaged'));
    const { exported } = await start('bo').watch();
    expect(exported).toBe('memory');
    expect(new Set(endings(played)).size).toBe(1);
    expect(warningsOf(played)).toEqual(GROUPS.map(() => []));
  });
});

describe('a member that gives a wrong share', () => {
  const settingsOf = (options: object) =>
    sealSettings(sealOptions.parse({ mostGroups: 8, ...options }), { ...SHAPE, holds: 'ciphertext' });
  const liars =
    (names: readonly string[], options: object): Lie =>
    (group, round, step, answer, setup) =>
      names.includes(group) && round === 2 && step === STEP.open
        ? withWrongShare(setup, settingsOf(options), answer)
        : answer;

  test('is found and named to all groups, which come to the same bytes as without it', async () => {
    const options = { committee: { members: GROUPS, threshold: 2 } };
    const played = await held({ options, lie: liars(['cy'], options) });
    await played.outcomes;
    const honest = await held({ options });
    await honest.outcomes;
    expect(endings(played)).toEqual(endings(honest));
    for (const warnings of warningsOf(played)) {
      expect(warnings).toEqual([
        'the sum of round 2 was opened all the same; the answers of cy do not fit: that can be their doing, that of groups that dealt them shares, or of the aggregator, which passed the answers on',
      ]);
    }
    const events = await server.aggregator.db
      .selectFrom('events')
      .select('type')
      .where('run', '=', played.run)
      .where('type', '=', 'accused')
      .execute();
    expect(events).toEqual([]);
  });

  test('where too many are wrong, the model stays for everybody, and the run goes on', async () => {
    const played = await held({ lie: liars(['bo', 'cy'], {}) });
    for (const { ended } of await played.outcomes) expect(ended).toBe('finished');
    for (const warnings of warningsOf(played)) {
      expect(warnings).toEqual(['the sum of round 2 cannot be opened, the model stays']);
    }
    expect(new Set(endings(played)).size).toBe(1);
    for (const [, models] of played.models) {
      const [one, two, three] = [1, 2, 3].map((round) => hexOf(bytesOf(models.get(round)!)));
      expect(two).toBe(one);
      expect(three).not.toBe(two);
    }
  });
});

test('a round that is skipped leaves the model as it was, with nothing to read', async () => {
  let heldBack = true;
  const played = await held({
    plan: planWith(HELD, { quorum: 3 }),
    holds: (group, { round, step }) => heldBack && group !== 'ada' && round === 2 && step === STEP.upload,
  });
  await played.until(({ round, step, replied }) => round === 2 && step === 'upload' && replied === 1);
  now += planWith(HELD).deadlineMs;
  await passDeadlines(server.aggregator);
  heldBack = false;
  await startRun(server.aggregator, played.run);
  await played.outcomes;
  await cleanUp(server.aggregator);
  const { history } = await statusOf(server.aggregator, played.run);
  expect(history.map(({ updates }) => updates)).toEqual([0, 3, 0, 4]);
  expect(history[2]!.model).toBe(history[1]!.model);
  expect(new Set(endings(played)).size).toBe(1);
  expect(warningsOf(played)).toEqual(GROUPS.map(() => []));
});

test('a sum that is not what the aggregator signed, or is longer than any, is not read', async () => {
  for (const change of [
    (body: Uint8Array) => body.map((byte, at) => (at > 4 && at === body.length - 1 ? byte ^ 1 : byte)),
    (body: Uint8Array) => (body.length === 4 ? Uint8Array.of(0xff, 0xff, 0xff, 0xff) : body),
  ]) {
    const tamper: GroupsOptions['tamper'] = (group, path, body) =>
      group === 'cy' && path.includes('/models/1/parameters') ? change(body) : body;
    const played = await held({ plan: planWith(HELD, { quorum: 3 }), tamper });
    await expect(played.outcomes).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
    // What it had before is what it has.
    expect([...played.models.get('cy')!.keys()]).toEqual([0]);
    expect(decode(played.stores.get('cy')!.loadClearModel()!)).toMatchObject({ record: { round: 0 } });
    await stopRun(server.aggregator, played.run);
  }
});

test("a run whose readers' key is not named is not made", async () => {
  const made = createRun(server.aggregator, { name: 'nameless', plan: planWith({ holds: 'ciphertext' }) });
  await expect(made).rejects.toMatchObject({
    code: 'CONFIG_CONFLICT',
    message: "the plan does not say whose readers' key opens its sums",
  });
});
