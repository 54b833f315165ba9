import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { roundPlugins } from '../../src/config/round-plugins.ts';
import { predictorOf } from '../../src/config/worker-setup.ts';
import { sha256 } from '../../src/core/digest.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { openEmbedded } from '../../src/server/store/database.ts';
import { initialModel } from '../../src/training/initial-model.ts';
import { checkChain } from '../../src/wire/model-record.ts';
import type { Model } from '../../src/wire/stages.ts';
import { temporaryFolder } from '../support/cli.ts';
import { EVERY_CASE, LONG_TESTS } from '../support/deployment.ts';
import { calm, type Played, playSchedule, type Schedule, scheduleOf } from '../support/fault-schedule.ts';
import { inClear, sumInClear } from '../support/in-clear.ts';
import type { Stores } from '../support/mortal-aggregator.ts';
import { fakeUpdateOf } from '../support/mortal-group.ts';

const SCHEDULES = 200;
/** So many seeds to a test; each of them is played, whatever becomes of the others. */
const AT_ONCE = 10;
const DAY_MS = 86_400_000;
/**
 * Every second test of ten seeds is played, the others on the next day (UTC), all where every case is played: 200 take
 * minutes, and what one seed finds is found on the second day at the latest. A failure names its seed, and a seed is
 * played the same on every day.
 */
const TODAY = Math.floor(Date.now() / DAY_MS) % 2;
const FIRSTS = Array.from({ length: SCHEDULES / AT_ONCE }, (_, index) => 1 + AT_ONCE * index).filter(
  (_, index) => EVERY_CASE || index % 2 === TODAY,
);
const ON_DISK = 5;
const TIMEOUT_MS = 900_000;

/** The models of a run, computed apart from the server from who took part in each round. */
function modelsOf({ definition }: Played, groupsOf: (round: number) => readonly string[]): Model[] {
  const config = parseConfig(definition.plan.config);
  const { strategy } = roundPlugins(config, 1, { size: 1, counted: null });
  const predictor = predictorOf(config, { featureWidth: definition.plan.features.width, rows: 0 });
  const models = [initialModel(predictor, config.seed)];
  let state = strategy.initialState();
  for (let round = 1; round <= config.training.rounds; round++) {
    const model = models.at(-1)!;
    const sum = sumInClear(model.parameters.length, round);
    for (const group of groupsOf(round)) sum.add(0, inClear(fakeUpdateOf(group, round, model, null)));
    const next = strategy.next(model, sum.finish(), state);
    state = next.state;
    models.push(next.model);
  }
  return models;
}

function takersOf({ listed }: Played, round: number): string[] {
  return listed.filter((submission) => submission.round === round).map(({ group }) => group);
}

function roundsOf({ events }: Played, type: string) {
  return events.filter((event) => event.type === type).map(({ round }) => round);
}

/** Fails where a run ended otherwise than every run must, whatever went wrong on the way. */
function check({ groups, rounds, quorum }: Schedule, played: Played): void {
  const { records, acknowledged, listed, faults, state, reopened } = played;
  const all = Array.from({ length: rounds }, (_, index) => index + 1);
  expect(faults).toEqual([]);
  expect(state).toMatchObject({ phase: 'finished', round: rounds });

  // Each round is published once, in a chain that verifies.
  expect(records.map(({ round }) => round)).toEqual([0, ...all]);
  expect(
    checkChain(records, { run: played.digest, aggregatorKey: played.aggregatorKey }, null),
  ).not.toBeNull();
  expect(roundsOf(played, 'published')).toEqual(all);
  expect(roundsOf(played, 'finished')).toHaveLength(1);
  expect(roundsOf(played, 'failed')).toHaveLength(reopened);

  // Nothing that was said yes to is lost, and the models are made of just what is listed.
  expect(listed).toEqual(expect.arrayContaining([...acknowledged]));
  const models = modelsOf(played, (round) => takersOf(played, round));
  expect(records.map(({ model }) => model)).toEqual(models.map(({ digest }) => digest));
  for (const round of all) {
    const takers = takersOf(played, round);
    expect(records[round]!.updates).toBe(takers.length);
    expect(takers.length).toBeGreaterThanOrEqual(quorum);
  }

  // Every group holds the last model.
  const last = models.at(-1)!.digest;
  for (const { store } of played.groups) expect(sha256(store.loadModel()!)).toBe(last);

  if (quorum < groups.length) return;
  expect(reopened).toBe(0);
  expect(last).toBe(modelsOf(played, () => groups).at(-1)!.digest);
}

/** Plays seeds one after the other; fails in the end with each seed that failed and why. */
async function playAll(seeds: readonly number[], stores: Stores, onPlayed: (played: Played) => void) {
  const failures: string[] = [];
  for (const seed of seeds) {
    const schedule = scheduleOf(seed);
    try {
      const played = await playSchedule(schedule, stores);
      onPlayed(played);
      check(schedule, played);
    } catch (thrown) {
      failures.push(`seed ${seed}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
    }
  }
  expect(failures.join('\n\n')).toBe('');
}

async function diskStores(place: string): Promise<Stores> {
  const blobs = await diskBlobs(join(place, 'blobs'));
  let database = await openEmbedded(join(place, 'database'));
  const reopen = async () => {
    await database.close();
    database = await openEmbedded(join(place, 'database'));
  };
  return {
    get database() {
      return database;
    },
    blobs,
    reopen,
  };
}

const title = `${AT_ONCE * FIRSTS.length} of ${SCHEDULES} fault schedules against the real state machine and the real stores${LONG_TESTS.why}`;
describe.skipIf(LONG_TESTS.skip)(title, () => {
  const folder = temporaryFolder();
  const seen: Played[] = [];
  let stores: Stores;

  beforeAll(async () => {
    const database = await openEmbedded(null);
    stores = { database, blobs: await diskBlobs(join(folder, 'blobs')), reopen: null };
  });
  afterAll(() => stores.database.close());

  it('without faults a run ends as it is computed apart from the server', async () => {
    const schedule = calm(scheduleOf(0));
    const played = await playSchedule(schedule, stores);
    check(schedule, played);
    expect(played.groups.map(({ kills }) => kills)).toEqual(schedule.groups.map(() => 0));
  });

  for (const first of FIRSTS) {
    const seeds = Array.from({ length: AT_ONCE }, (_, index) => first + index);
    it(
      `seeds ${first} to ${seeds.at(-1)}`,
      () => playAll(seeds, stores, (played) => seen.push(played)),
      TIMEOUT_MS,
    );
  }

  it(
    `${ON_DISK} of them with the database on disk, closed and opened again by each process`,
    async () => {
      const seeds = Array.from({ length: SCHEDULES }, (_, index) => index + 1);
      const deadly = seeds.filter((seed) => scheduleOf(seed).deaths.length > 1).slice(0, ON_DISK);
      const onDisk = await diskStores(join(folder, 'on-disk'));
      let deaths = 0;
      await playAll(deadly, onDisk, (played) => {
        deaths += played.deaths.length;
      });
      expect(deaths).toBeGreaterThanOrEqual(ON_DISK);
      await onDisk.database.close();
    },
    TIMEOUT_MS,
  );

  it('saw every kind of fault', () => {
    const sum = (of: (played: Played) => number) => seen.reduce((total, played) => total + of(played), 0);
    const counts = {
      requestsLost: sum(({ network }) => network.counts.lostRequest),
      answersLost: sum(({ network }) => network.counts.lostAnswer),
      answersCut: sum(({ network }) => network.counts.cutAnswer),
      duplicates: sum(({ network }) => network.counts.duplicate),
      stalls: sum(({ network }) => network.counts.stall),
      groupsKilled: sum(({ groups }) => groups.reduce((kills, group) => kills + group.kills, 0)),
      groupsLeft: sum(({ groups }) => groups.reduce((leaves, group) => leaves + group.leaves, 0)),
      aggregatorsKilled: sum(({ deaths }) => deaths.length),
      killedInFolds: sum(({ deaths }) => deaths.filter(({ after }) => after === 'folding').length),
      killedInPublications: sum(({ deaths }) => deaths.filter(({ after }) => after === 'publishing').length),
      powerLost: sum(({ deaths }) => deaths.filter(({ losesPower }) => losesPower).length),
      roundsOpenedAgain: sum(({ reopened }) => reopened),
      roundsWithoutSome: sum(
        ({ records, groups }) => records.slice(1).filter(({ updates }) => updates < groups.length).length,
      ),
    };
    console.log(JSON.stringify(counts));
    for (const [kind, count] of Object.entries(counts)) expect(count, kind).toBeGreaterThan(0);
  });
});
