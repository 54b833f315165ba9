import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/cli.ts';
import {
  enrol,
  eventsOf,
  FIVE,
  invite,
  modelOf,
  type Serving,
  serve,
  simulated,
  smallRun,
  startRun,
  statusOf,
  stop,
  untilStatus,
  watch,
} from '../support/deployment.ts';
import { commandLine, type Running } from '../support/processes.ts';

const TIMEOUT_MS = 420_000;
const folder = temporaryFolder();
const place = (name: string) => join(folder, name);
const cli = commandLine();
let serving: Serving;

beforeAll(async () => {
  await cli.run(['aggregator', 'init', place('aggregator')]);
  serving = await serve(cli, place('aggregator'));
  return () => stop(serving);
}, TIMEOUT_MS);

async function begin(
  name: string,
  overrides: readonly string[],
): Promise<{ run: string; folders: string[] }> {
  const run = await startRun(cli, place('aggregator'), [...overrides, `name=${name}`]);
  const invitations = await invite(cli, place('aggregator'), run, FIVE.length);
  const folders = FIVE.map((group) => place(`${name}-${group}`));
  await Promise.all(FIVE.map((group, index) => enrol(cli, folders[index]!, group, invitations[index]!)));
  return { run, folders };
}

describe.each(['mask', 'seal'])('five groups under protection %s, each a process', (protection) => {
  it(
    'end with the bytes of the simulation, and the aggregator has sums of scores only',
    async () => {
      const overrides = smallRun(FIVE, ['training.rounds=3', `protection.name=${protection}`]);
      const { run, folders } = await begin(protection, overrides);
      const expected = simulated(cli, place(`simulated-${protection}`), overrides);
      await Promise.all(folders.map((path) => watch(cli, path).succeeded()));
      for (const path of folders) expect(modelOf(path).equals(await expected), path).toBe(true);
      const { phase, history, scores, ...status } = await statusOf(serving.url, run);
      expect([phase, status.protection]).toEqual(['finished', protection]);
      expect(history.map(({ updates }) => updates)).toEqual([0, 5, 5, 5]);
      expect(scores.map(({ round }) => round)).toEqual([0, 1, 2]);
      for (const { groups, mean, worst } of scores) {
        expect({ groups, worst }).toEqual({ groups: 5, worst: null });
        expect(mean).toBeGreaterThan(0.3);
        expect(mean).toBeLessThan(1);
      }
    },
    TIMEOUT_MS,
  );

  it(
    'go on without a group that is killed in the middle of a round, and take it in again',
    async () => {
      const overrides = smallRun(FIVE, [
        'training.rounds=3',
        `protection.name=${protection}`,
        'round.quorum=4',
        // A busy machine needs time for a step, and the first is under way before anybody watches.
        'round.deadlineSeconds=40',
      ]);
      const { run, folders } = await begin(`dropout-${protection}`, overrides);
      const watching: Running[] = folders.map((path) => watch(cli, path));
      // It has shared its secrets when it begins to train, and its update never comes. In the second round: the first is of those four
      // who had joined when it began, and none of them can be spared.
      await watching[0]!.until('its training', ({ stdout }) =>
        stdout.includes('"type":"training","round":2') ? true : null,
      );
      watching[0]!.kill('SIGKILL');
      const without = await untilStatus(
        () => statusOf(serving.url, run),
        ({ history, failure }) => history.length > 2 || failure !== null,
      );
      expect(without.failure).toBeNull();
      watching[0] = watch(cli, folders[0]!);
      await Promise.all(watching.map((running) => running.succeeded()));
      const { history, failure } = await statusOf(serving.url, run);
      expect(failure).toBeNull();
      expect(history[2]!.updates).toBe(4);
      const models = folders.map((path) => modelOf(path));
      for (const model of models) expect(model.equals(models[0]!)).toBe(true);
      const events = await eventsOf(serving.url, run);
      expect(events.filter(({ type }) => type === 'failed')).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe('three groups whose sums are opened by three members without answers, each a process', () => {
  it(
    'end with the bytes of the simulation; the members tell where they are',
    async () => {
      const groups = FIVE.slice(0, 3);
      const members = ['notary', 'press', 'union'];
      const overrides = smallRun(groups, [
        'training.rounds=2',
        'protection.name=seal',
        `protection.committee={members: [${members.join(', ')}], threshold: 2, trustees: true}`,
      ]);
      const run = await startRun(cli, place('aggregator'), [...overrides, 'name=trusted']);
      const invitations = await invite(cli, place('aggregator'), run, 6);
      const folders = groups.map((group) => place(`trusted-${group}`));
      await Promise.all(
        groups.map((group, index) =>
          enrol(cli, folders[index]!, group, invitations[index]!, ['--accept-committee']),
        ),
      );
      const offices = members.map((name) => place(`office-${name}`));
      for (const [index, office] of offices.entries()) {
        await cli.run(['committee', 'init', office]);
        const { stdout } = await cli.run([
          'committee',
          'join',
          office,
          invitations[3 + index]!,
          '--name',
          members[index]!,
        ]);
        expect(stdout).toContain(`"${members[index]}" keeps shares of the keys of run "${run}"`);
      }
      const expected = simulated(cli, place('simulated-trusted'), overrides);
      const serving_ = offices.map((office) => cli.start(['committee', 'serve', office]));
      await Promise.all(folders.map((path) => watch(cli, path).succeeded()));
      for (const running of serving_) {
        const { stdout } = await running.succeeded();
        expect(stdout).toMatch(/The run is finished\. Digest of its last model: [0-9a-f]{64}/);
      }
      for (const path of folders) expect(modelOf(path).equals(await expected), path).toBe(true);
      const { history, groups: counted } = await statusOf(serving.url, run);
      expect(history.map(({ updates }) => updates)).toEqual([0, 3, 3]);
      expect(counted).toBe(6);
      const { stdout } = await cli.run(['committee', 'status', offices[0]!]);
      expect(stdout).toContain(`"notary" in run "${run}"`);
      expect(stdout).toContain('Newest model: of round 2.');
    },
    TIMEOUT_MS,
  );
});
