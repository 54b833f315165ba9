import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { temporaryFolder } from '../support/cli.ts';
import {
  enrol,
  eventIn,
  eventsOf,
  FIVE,
  invite,
  LONG_TESTS,
  modelOf,
  type RunEvent,
  type Serving,
  serve,
  simulated,
  smallRun,
  startRun,
  statusOf,
  stop,
  takeRound,
  untilStatus,
  watch,
} from '../support/deployment.ts';
import { commandLine } from '../support/processes.ts';

const TIMEOUT_MS = 420_000;
const folder = temporaryFolder();
const place = (name: string) => join(folder, name);

const cli = commandLine();
let serving: Serving;

beforeAll(async () => {
  await cli.run(['aggregator', 'init', place('aggregator')]);
  serving = await serve(cli, place('aggregator'));
}, TIMEOUT_MS);

/** Files of a folder and all below it that others than their owner may open. */
function openToOthers(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => (statSync(file).mode & 0o077) !== 0);
}

const outcomeSchema = z.object({ type: z.literal('outcome'), round: z.int().nullable() });

/** Runs `group round`, again where a busy machine let the deadline pass; the round that the group took part in. */
async function roundOf(group: string): Promise<number> {
  const taking = takeRound(cli, group);
  const { stdout } = await taking.ended;
  if (stdout.includes('"code":"ROUND_FAILED"')) return roundOf(group);
  await taking.succeeded();
  return eventIn(stdout, outcomeSchema)!.round!;
}

describe.concurrent('one aggregator and five groups, each a process', () => {
  const three = smallRun(FIVE, ['training.rounds=3', 'round.quorum=5']);

  it.sequential(
    'end with the bytes of the simulation, on every disk',
    async () => {
      const expected = simulated(cli, place('simulated'), three);
      const run = await startRun(cli, place('aggregator'), three);
      const invitations = await invite(cli, place('aggregator'), run, FIVE.length);
      const folders = FIVE.map((group) => place(group));
      const joined = FIVE.map((group, index) => enrol(cli, folders[index]!, group, invitations[index]!));
      await Promise.all([expected, ...joined]);
      // Four go through all rounds in one process; the fifth starts a process for each round.
      const watching = folders.slice(1).map((path) => watch(cli, path).succeeded());
      const rounds: number[] = [];
      for (let turn = 0; turn < 3; turn++) rounds.push(await roundOf(folders[0]!));
      await Promise.all(watching);
      expect(rounds).toEqual([1, 2, 3]);
      for (const path of folders) expect(modelOf(path).equals(await expected), path).toBe(true);
      const { phase, history } = await statusOf(serving.url, run);
      expect(phase).toBe('finished');
      expect(history.map(({ updates }) => updates)).toEqual([0, 5, 5, 5]);
    },
    TIMEOUT_MS,
  );

  it.sequential('keep what is secret for their owners alone', () => {
    for (const group of FIVE) {
      expect(statSync(place(group)).mode & 0o777, group).toBe(0o700);
      expect(openToOthers(place(group))).toEqual([]);
    }
    expect(readdirSync(place(FIVE[0]))).toContain('identity.json');
    expect(statSync(place('aggregator')).mode & 0o777).toBe(0o700);
    expect(openToOthers(place('aggregator/blobs'))).toEqual([]);
    for (const key of ['identity.key', 'admin.key']) {
      expect(statSync(join(place('aggregator'), key)).mode & 0o777, key).toBe(0o600);
    }
  });
});

/** A certificate for this machine that no authority stands for; why there is none. */
function selfSigned(cert: string, key: string): string {
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    execFileSync('openssl', [...args, '-keyout', key, '-out', cert, '-days', '2', ...subject], {
      stdio: 'ignore',
    });
    return '';
  } catch {
    return ' (SKIPPED: no openssl that makes certificates on PATH)';
  }
}

const cert = place('cert.pem');
const key = place('key.pem');
const why = selfSigned(cert, key);

// At the same time as the groups above: it waits long for who was refused to give up.
describe.skipIf(why !== '').concurrent(`over TLS${why}`, () => {
  it(
    'a group joins and takes part with the certificate it was given, and not without',
    async () => {
      const [group] = FIVE;
      const home = place('secure-group');
      const stranger = place('secure-stranger');
      const aggregator = place('secure');
      const overrides = smallRun([group], ['training.rounds=1', 'name=secure']);
      await cli.run(['aggregator', 'init', aggregator, '--tls-cert', cert, '--tls-key', key]);
      const secure = await serve(cli, aggregator);
      expect(secure.url).toMatch(/^https:/);
      const run = await startRun(cli, aggregator, overrides);
      const [invitation] = await invite(cli, aggregator, run, 1);
      for (const path of [home, stranger]) {
        await cli.run(['group', 'init', path, '--answers', 'nonvoters', '--group', group]);
      }
      const refused = cli.start(['group', 'join', stranger, invitation!, '--json']).ended;
      await cli.run(['group', 'join', home, invitation!, '--ca', cert]);
      expect(await roundOf(home)).toBe(1);
      expect((await refused).stdout).toContain('"code":"AGGREGATOR_UNREACHABLE"');
      const expected = await simulated(cli, place('secure-simulated'), overrides);
      expect(modelOf(home).equals(expected)).toBe(true);
      await stop(secure);
    },
    TIMEOUT_MS,
  );
});

/** Groups whose update counted in each round; index 0 is nobody's. */
function takersOf(events: readonly RunEvent[], rounds: number): string[][] {
  return Array.from({ length: rounds + 1 }, (_, round) =>
    events.flatMap((event) =>
      event.type === 'received' && event.round === round ? [String(event.group)] : [],
    ),
  );
}

describe.skipIf(LONG_TESTS.skip)(`groups that come and go${LONG_TESTS.why}`, () => {
  const [away, first, second, late] = FIVE;
  const ROUNDS = 40;
  const DEADLINE_SECONDS = 5;
  const plan = smallRun(
    [away, first, second],
    [`training.rounds=${ROUNDS}`, 'round.quorum=2', `round.deadlineSeconds=${DEADLINE_SECONDS}`],
  );
  let events: RunEvent[];
  let back: number;

  /** Waits for a round to be under way. */
  async function untilRound(run: string, wanted: number): Promise<void> {
    await untilStatus(
      () => statusOf(serving.url, run),
      ({ round }) => round >= wanted,
    );
  }

  /** What operators do who see that a round failed: open it again. Until the run is over. */
  async function operate(run: string): Promise<void> {
    const authorization = `Bearer ${readFileSync(place('aggregator/admin.key'), 'utf8').trim()}`;
    const over = (status: { phase: string }) => status.phase === 'stopped' || status.phase === 'finished';
    await untilStatus(async () => {
      const status = await statusOf(serving.url, run);
      const path = `${serving.url}/v1/admin/runs/${run}/start`;
      if (status.phase === 'failed') await fetch(path, { method: 'POST', headers: { authorization } });
      return status;
    }, over);
  }

  beforeAll(async () => {
    const run = await startRun(cli, place('aggregator'), [...plan, 'name=coming-and-going']);
    const invitations = await invite(cli, place('aggregator'), run, 4);
    const names = [away, first, second, late];
    const homes = names.map((group) => place(`free-${group}`));
    for (const index of [0, 1, 2]) await enrol(cli, homes[index]!, names[index]!, invitations[index]!);
    const operated = operate(run);
    const watching = [watch(cli, homes[1]!), watch(cli, homes[2]!)];
    const left = await roundOf(homes[0]!);
    await untilRound(run, left + 2);
    await enrol(cli, homes[3]!, late, invitations[3]!);
    watching.push(watch(cli, homes[3]!));
    await untilRound(run, left + 4);
    back = await roundOf(homes[0]!);
    await untilRound(run, back + 1);
    await cli.run(['aggregator', 'stop', place('aggregator'), run]);
    await Promise.all([operated, ...watching.map((running) => running.succeeded())]);
    events = await eventsOf(serving.url, run);
    const models = homes.slice(1).map((home) => modelOf(home).toString('base64'));
    expect(new Set(models).size).toBe(1);
  }, TIMEOUT_MS);

  it('a group that was away for three rounds takes part again by the same command', () => {
    const took = takersOf(events, ROUNDS).flatMap((takers, round) => (takers.includes(away) ? [round] : []));
    expect(took).toHaveLength(2);
    expect(took[1]! - took[0]!).toBeGreaterThan(3);
    expect(took[1]).toBe(back);
  });

  it('a group that joins late is asked from the next round on, and takes part', () => {
    const joined = events.findIndex(({ type, group }) => type === 'joined' && group === late);
    const before = events.slice(0, joined).filter(({ type }) => type === 'asked');
    const after = events.slice(joined).filter(({ type }) => type === 'asked');
    expect(before.at(-1)).toMatchObject({ groups: 3 });
    // A round that a busy machine let pass is opened again with all; so the next asking counts, whatever its round.
    expect(after[0]).toMatchObject({ groups: 4 });
    expect(takersOf(events, ROUNDS).filter((takers) => takers.includes(late)).length).toBeGreaterThan(0);
  });
});
