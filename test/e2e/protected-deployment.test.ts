import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from 'cborg';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { temporaryFolder } from '../support/cli.ts';
import {
  enrol,
  enrolHere,
  eventIn,
  eventsOf,
  FIVE,
  invite,
  LONG_TESTS,
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
import { contentOf, formsOf, hasTraceOf } from '../support/traces.ts';

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

/** The file of this name somewhere in a folder. */
function namedIn(path: string, name: string): Buffer {
  const [found] = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((each) =>
    each.endsWith(name),
  );
  return readFileSync(join(path, found!));
}

const keptSchema = z.object({
  record: z.object({ round: z.int() }),
  parameters: z.instanceof(Uint8Array),
});

/** A run that five groups have joined, by commands or in this process. */
async function begin(
  name: string,
  overrides: readonly string[],
  join: (folder: string, group: string, invitation: string) => Promise<void>,
): Promise<{ run: string; folders: string[] }> {
  const run = await startRun(cli, place('aggregator'), [...overrides, `name=${name}`]);
  const invitations = await invite(cli, place('aggregator'), run, FIVE.length);
  const folders = FIVE.map((group) => place(`${name}-${group}`));
  await Promise.all(FIVE.map((group, index) => join(folders[index]!, group, invitations[index]!)));
  return { run, folders };
}

describe.each(['mask', 'seal'])('five groups under protection %s, each a process', (protection) => {
  it(
    'end with the bytes of the simulation, and the aggregator has sums of scores only',
    async () => {
      const overrides = smallRun(FIVE, ['training.rounds=3', `protection.name=${protection}`]);
      const { run, folders } = await begin(protection, overrides, (path, group, invitation) =>
        enrol(cli, path, group, invitation),
      );
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
});

// Both at once: most of their time they wait for a deadline to pass.
describe.skipIf(LONG_TESTS.skip).concurrent.each(['mask', 'seal'])(
  `five groups under protection %s, one of them killed${LONG_TESTS.why}`,
  (protection) => {
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
        const { run, folders } = await begin(`dropout-${protection}`, overrides, enrolHere);
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
  },
);

const held =
  'three groups whose aggregator holds ciphertext, and three members without answers, each a process';
describe.skipIf(LONG_TESTS.skip)(`${held}${LONG_TESTS.why}`, () => {
  it(
    'end with the bytes of the simulation, of which the aggregator has none',
    async () => {
      const groups = FIVE.slice(0, 3);
      const members = ['notary', 'press', 'union'];
      const key = place('readers.key');
      const made = await cli.run(['group', 'readers-key', '--out', key, '--json']);
      const fingerprint = eventIn(made.stdout, z.object({ fingerprint: z.string() }))!.fingerprint;
      const overrides = smallRun(groups, [
        'training.rounds=2',
        'protection.name=seal',
        `protection.committee={members: [${members.join(', ')}], threshold: 2, trustees: true}`,
      ]);
      const readers = ['aggregator.holds=ciphertext', `aggregator.readers=${fingerprint}`];
      await cli.run(['aggregator', 'init', place('blind')]);
      const own = await serve(cli, place('blind'));
      const run = await startRun(cli, place('blind'), [...overrides, ...readers, 'name=held']);
      const invitations = await invite(cli, place('blind'), run, 6);
      const folders = groups.map((group) => place(`held-${group}`));
      const flags = ['--accept-committee', '--readers-key', key];
      await Promise.all(
        groups.map((group, index) => enrol(cli, folders[index]!, group, invitations[index]!, flags)),
      );
      const offices = members.map((name) => place(`held-${name}`));
      for (const [index, office] of offices.entries()) {
        await cli.run(['committee', 'init', office]);
        const word = invitations[3 + index]!;
        const named = ['--name', members[index]!, '--readers-key', key];
        await cli.run(['committee', 'join', office, word, ...named]);
      }
      // Without `readers`: who reads the sums changes no byte.
      const expected = simulated(cli, place('simulated-held'), overrides);
      const serving_ = offices.map((office) => cli.start(['committee', 'serve', office]));
      await Promise.all(folders.map((path) => watch(cli, path).succeeded()));
      for (const running of serving_) await running.succeeded();
      for (const path of folders) expect(modelOf(path).equals(await expected), path).toBe(true);
      const { history, scores, holds } = await statusOf(own.url, run);
      expect({ updates: history.map(({ updates }) => updates), scores, holds }).toEqual({
        updates: [0, 3, 3],
        scores: [],
        holds: 'ciphertext',
      });
      const shown = await cli.run(['aggregator', 'status', place('blind'), run]);
      expect(shown.stdout).toContain('The aggregator holds ciphertext only');
      const report = place('held.html');
      await cli.run(['aggregator', 'report', place('blind'), run, '--output', report]);
      expect(readFileSync(report, 'utf8')).toContain('the aggregator held ciphertext only');
      await stop(own);
      const { stdout, stderr } = await own.process.ended;
      const has = Buffer.concat([contentOf(place('blind')), Buffer.from(stdout + stderr)]);
      // The model of round 0 follows from the seed, and is there: the search can find one.
      const start = namedIn(place('blind'), history[0]!.model);
      const kept = keptSchema.parse(decode(readFileSync(join(folders[0]!, 'clear-model.cbor'))));
      expect(kept.record.round).toBe(2);
      expect(hasTraceOf(start, has)).toBe(true);
      expect(hasTraceOf(kept.parameters, has, start)).toBe(false);
      const secret = Buffer.from(readFileSync(key, 'utf8').trim(), 'hex');
      for (const form of formsOf(secret)) expect(has.includes(form)).toBe(false);
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
