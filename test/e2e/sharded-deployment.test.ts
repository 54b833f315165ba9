import { readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { KeeperHome } from '../../src/client/sharding/keeper-home.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { meanOf } from '../../src/evaluate/group-scores.ts';
import { decodeInvitation, encodeInvitation } from '../../src/wire/invitation.ts';
import { events, temporaryFolder } from '../support/cli.ts';
import {
  enrol,
  eventIn,
  FIVE,
  LONG_TESTS,
  type Serving,
  serve,
  statusOf,
  stop,
  watch,
} from '../support/deployment.ts';
import { commandLine, type Running } from '../support/processes.ts';
import { type RecordingProxy, recordingProxy } from '../support/recording-proxy.ts';

// A predictor that nobody holds, trained by processes: an aggregator, a keeper for each of three stages, one who stands by, and five groups. One keeper is
// killed in the middle of a round, another one comes, and at last a group that took part in nothing. Everything that anybody wrote or received is kept, and searched for what he should not have.

const TIMEOUT_MS = 420_000;
const ROUNDS = 8;
const CONFIG = 'configs/sharded.yaml';
const SETTINGS = [
  `data.groups.training=${JSON.stringify(FIVE)}`,
  'data.splitSeed=0',
  `training.rounds=${ROUNDS}`,
  `evaluation.every=${ROUNDS}`,
  'runtime.device=cpu',
  'compare=[]',
];
const DEPLOYED = [
  ...SETTINGS,
  'round.quorum=5',
  'round.deadlineSeconds=300',
  'sharding.standbys=1',
  'sharding.lateKeepers=2',
  'sharding.recovery=2',
  'sharding.patienceSeconds=5',
];
/** Who keeps which stage: the fourth stands by for the first, the fifth comes when the first is lost, and the last when the second is. */
const STAGES = [0, 1, 2, 0, 0, 1];
/** Who comes when all is trained. */
const GUEST = 'independent-white-30-49';
const GROUPS = [...FIVE, GUEST];

const folder = temporaryFolder();
const place = (name: string) => join(folder, name);
const keeperFolder = (index: number) => place(`keeper-${index}`);
const cli = commandLine();

const scoreSchema = z.object({ type: z.literal('score'), round: z.int(), alignment: z.number() });
const trainingSchema = z.object({ type: z.literal('training'), round: z.int() });
const predictionSchema = z.object({
  type: z.literal('prediction'),
  question: z.string(),
  probabilities: z.array(z.number()),
});
const predicting = (args: readonly string[]) => cli.start(args).ended;
const resultSchema = z.object({
  methods: z.array(z.object({ scores: z.array(z.object({ split: z.string(), alignment: z.number() })) })),
});

/** Somebody's bytes: what he has on his disk, said, and received. */
interface Holdings {
  readonly who: string;
  readonly bytes: Buffer[];
}

let serving: Serving;
let run: string;
const proxies = new Map<string, RecordingProxy>();
const keepers: Running[] = [];
const groups: Running[] = [];
/** Stages as they stood at some moments, by their number. */
const taken: { readonly stage: number; readonly masters: Float64Array }[] = [];

async function proxy(who: string): Promise<RecordingProxy> {
  const one = await recordingProxy(Number(new URL(serving.url).port));
  proxies.set(who, one);
  return one;
}

/** An invitation by way of a proxy. */
const via = (word: string, url: string) => encodeInvitation({ ...decodeInvitation(word), url });

async function invited(run: string, count: number, flags: readonly string[]): Promise<string[]> {
  const args = ['aggregator', 'invite', place('aggregator'), run, '--count', `${count}`, '--json', ...flags];
  const { stdout } = await cli.run(args);
  return events(stdout).map((event) => z.object({ invitation: z.string() }).parse(event).invitation);
}

async function startKeeper(index: number, word: string): Promise<void> {
  const { url } = await proxy(`keeper ${index}`);
  await cli.run(['keeper', 'init', keeperFolder(index), '--json']);
  const { stdout } = await cli.run(['keeper', 'join', keeperFolder(index), via(word, url), '--json']);
  expect(
    eventIn(stdout, z.object({ type: z.literal('joined'), stage: z.int(), standby: z.boolean() })),
  ).toMatchObject({
    stage: STAGES[index],
    standby: index >= 3,
  });
  keepers.push(cli.start(['keeper', 'serve', keeperFolder(index), '--json']));
}

async function startGroup(index: number, word: string): Promise<void> {
  const { url } = await proxy(`group ${index}`);
  await enrol(cli, place(`group-${index}`), GROUPS[index]!, via(word, url));
  groups.push(watch(cli, place(`group-${index}`)));
}

/** Keeps what the stages are now. */
function takeStages(): void {
  for (const [index, stage] of STAGES.entries()) {
    const home = new KeeperHome(keeperFolder(index));
    const stored = home.hasStage ? home.load() : null;
    if (stored?.memory.holds) taken.push({ stage, masters: stored.memory.stage.masters });
  }
}

const orderSchema = z.object({ type: z.literal('order'), kind: z.string(), round: z.int() });
const began = (round: number) => (said: { stdout: string }) =>
  events(said.stdout.slice(0, said.stdout.lastIndexOf('\n') + 1)).some((event) => {
    const parsed = orderSchema.safeParse(event);
    return parsed.success && parsed.data.kind === 'begin' && parsed.data.round >= round;
  }) || null;

const recoverySchema = z.object({
  type: z.literal('order'),
  kind: z.literal('recover'),
  failure: z.null(),
});
const recovered = (said: { stdout: string }) =>
  events(said.stdout.slice(0, said.stdout.lastIndexOf('\n') + 1)).some(
    (event) => recoverySchema.safeParse(event).success,
  ) || null;

const training = (round: number) => (said: { stdout: string }) =>
  events(said.stdout.slice(0, said.stdout.lastIndexOf('\n') + 1)).some((event) => {
    const parsed = trainingSchema.safeParse(event);
    return parsed.success && parsed.data.round >= round;
  }) || null;

/** Mean alignment of the five groups under the whole predictor, trained without keepers, by seed. */
async function monolithic(seed: number): Promise<number> {
  const out = place(`monolithic-${seed}`);
  await cli.run([
    'run',
    CONFIG,
    ...SETTINGS,
    'sharding=null',
    `seed=${seed}`,
    '--output-dir',
    out,
    '--quiet',
  ]);
  const { methods } = resultSchema.parse(JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')));
  const scores = methods[0]!.scores.filter(({ split }) => split === 'training');
  return meanOf(scores.map(({ alignment }) => alignment));
}

const aligned: number[] = [];

beforeAll(async () => {
  if (LONG_TESTS.skip) return;
  await cli.run(['aggregator', 'init', place('aggregator')]);
  serving = await serve(cli, place('aggregator'));
  for (const seed of [0, 1, 2]) aligned.push(await monolithic(seed));
}, TIMEOUT_MS);

afterAll(async () => {
  await Promise.all([...proxies.values()].map((one) => one.close()));
});

describe.skipIf(LONG_TESTS.skip)(`a model that nobody holds${LONG_TESTS.why}`, () => {
  test(
    'is trained by processes of which one keeper is killed in the middle of a round',
    async () => {
      const started = await cli.run([
        'aggregator',
        'start',
        place('aggregator'),
        CONFIG,
        ...DEPLOYED,
        '--json',
      ]);
      run = eventIn(started.stdout, z.object({ type: z.literal('run'), run: z.string() }))!.run;
      for (const [index, word] of (await invited(run, 4, ['--keeper'])).entries())
        await startKeeper(index, word);
      const words = await invited(run, 5, []);
      await Promise.all(words.map((word, index) => startGroup(index, word)));
      await groups[0]!.until('its training of round 3', training(3));
      takeStages();
      await keepers[0]!.until('the beginning of round 4', began(4));
      keepers[0]!.kill('SIGKILL');
      // Its seat is known to be lost, so who comes is for its stage.
      const key = new KeeperHome(keeperFolder(0)).identity().publicKey;
      await cli.run(['aggregator', 'revoke', place('aggregator'), run, '--keeper', key]);
      const [word] = await invited(run, 1, ['--keeper']);
      await startKeeper(4, word!);
      for (const group of groups) await group.succeeded();
      const { phase, history } = await statusOf(serving.url, run);
      expect(phase).toBe('finished');
      expect(history.map(({ updates }) => updates)).toEqual([0, ...Array.from({ length: ROUNDS }, () => 5)]);
      takeStages();
      const [lost, ...others] = [0, 1, 2, 3].map(
        (index) => new KeeperHome(keeperFolder(index)).load()!.memory,
      );
      // Who stood by for the first stage went on with the others: no morph and no training without it.
      const epochs = Math.floor((ROUNDS - 1) / 2);
      expect(new Set(others.map(({ links }) => links.epoch))).toEqual(new Set([epochs]));
      expect(new Set(others.map(({ place: { round } }) => round)).size).toBe(1);
      expect(others[0]!.place.round).toBeGreaterThanOrEqual(ROUNDS);
      expect(lost!.place.round).toBeLessThan(ROUNDS);
    },
    TIMEOUT_MS,
  );

  test(
    'predicts through the keepers, and answers nobody else',
    async () => {
      const { stdout } = await cli.run([
        'predict',
        place('group-1'),
        '--sharded',
        '--question',
        'Q5',
        '--question',
        'Q20',
        '--json',
      ]);
      const predicted = events(stdout).map((event) => predictionSchema.parse(event));
      expect(predicted.map(({ question }) => question)).toEqual(['Q5', 'Q20']);
      for (const { probabilities } of predicted) {
        expect(probabilities.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
        expect(Math.max(...probabilities) - Math.min(...probabilities)).toBeGreaterThan(0.01);
      }
      const other = await predicting([
        'predict',
        place('group-1'),
        '--sharded',
        '--group',
        FIVE[0],
        '--json',
      ]);
      expect(other).toMatchObject({ code: 2 });
      const keeper = await predicting(['predict', keeperFolder(0), '--sharded', '--json']);
      expect(keeper.stdout).toContain('FOLDER_NOT_READY');
    },
    TIMEOUT_MS,
  );

  test(
    'recovers a stage of which nobody who is left was told, from what its keeper left with the aggregator',
    async () => {
      const gone = `${keeperFolder(1)}-gone`;
      const { memory } = new KeeperHome(keeperFolder(1)).load()!;
      const key = new KeeperHome(keeperFolder(1)).identity().publicKey;
      keepers[1]!.kill('SIGKILL');
      await keepers[1]!.ended;
      renameSync(keeperFolder(1), gone);
      await cli.run(['aggregator', 'revoke', place('aggregator'), run, '--keeper', key]);
      const [word] = await invited(run, 1, ['--keeper']);
      await startKeeper(5, word!);
      await keepers[5]!.until('its stage', recovered);
      expect(new KeeperHome(keeperFolder(5)).load()!.memory.stage).toEqual(memory.stage);
      const asked = ['predict', place('group-1'), '--sharded', '--question', 'Q5', '--json'];
      const { stdout } = await cli.run(asked);
      const [{ probabilities }] = events(stdout).map((event) => predictionSchema.parse(event)) as [
        z.output<typeof predictionSchema>,
      ];
      expect(probabilities.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
      takeStages();
      renameSync(gone, keeperFolder(1));
    },
    TIMEOUT_MS,
  );

  test(
    'goes on with a keeper that came later, and predicts for a group that took part in nothing',
    async () => {
      const holds = () => new KeeperHome(keeperFolder(4)).load()?.memory.holds;
      await expect.poll(holds, { timeout: 60_000 }).toBe(true);
      // Nobody else has the first stage any more.
      keepers[3]!.kill('SIGKILL');
      await keepers[3]!.ended;
      const [word] = await invited(run, 1, []);
      await startGroup(FIVE.length, word!);
      await groups.at(-1)!.succeeded();
      const { stdout } = await cli.run([
        'predict',
        place(`group-${FIVE.length}`),
        '--sharded',
        '--question',
        'Q5',
        '--json',
      ]);
      const [{ probabilities }] = events(stdout).map((event) => predictionSchema.parse(event)) as [
        z.output<typeof predictionSchema>,
      ];
      expect(probabilities.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
      expect(Math.max(...probabilities) - Math.min(...probabilities)).toBeGreaterThan(0.01);
      takeStages();
    },
    TIMEOUT_MS,
  );

  test('predicts as well as the whole predictor does, by more than its seeds differ', () => {
    const last = groups.slice(0, FIVE.length).map(({ said }) =>
      events(said.stdout).flatMap((event) => {
        const parsed = scoreSchema.safeParse(event);
        return parsed.success && parsed.data.round === ROUNDS ? [parsed.data.alignment] : [];
      }),
    );
    expect(last.map((scores) => scores.length)).toEqual([1, 1, 1, 1, 1]);
    const spread = Math.max(...aligned) - Math.min(...aligned);
    expect(spread).toBeGreaterThan(0);
    expect(meanOf(last.flat())).toBeGreaterThan(Math.min(...aligned) - spread);
  });

  test(
    'and of which, whatever one searches of anybody, he never had two stages, and the aggregator none',
    async () => {
      for (const keeper of keepers) keeper.kill('SIGTERM');
      await Promise.all(keepers.map(({ ended }) => ended));
      await stop(serving);
      await wait(100);
      const holdings: Holdings[] = [...keepers.entries()].map(([index, one]) =>
        holdingsOf(`keeper ${index}`, keeperFolder(index), one),
      );
      for (const [index, one] of groups.entries()) {
        holdings.push(holdingsOf(`group ${index}`, place(`group-${index}`), one));
      }
      const spoken = Buffer.from(serving.process.said.stdout + serving.process.said.stderr);
      const all = [...proxies.values()].flatMap((one) => one.sent());
      holdings.push({ who: 'aggregator', bytes: [...all, ...filesOf(place('aggregator')), spoken] });

      // The search finds what is there: each keeper's stage is on his own disk.
      const found = new Map(holdings.map(({ who, bytes }) => [who, stagesIn(bytes)]));
      for (const [index, stage] of STAGES.entries()) {
        expect(found.get(`keeper ${index}`), `keeper ${index}`).toEqual(new Set([stage]));
      }
      for (const index of GROUPS.keys()) expect(found.get(`group ${index}`)).toEqual(new Set());
      expect(found.get('aggregator')).toEqual(new Set());
      // It has all of them, sealed.
      expect(readdirSync(place('aggregator'), { recursive: true }).filter(isDeposit).length).toBeGreaterThan(
        2,
      );
      expect(all.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(10_000_000);
    },
    TIMEOUT_MS,
  );
});

/** Whether a path is that of a stage that was left with the aggregator. */
function isDeposit(path: string | Buffer): boolean {
  return /deposits.*[0-9a-f]{32}$/.test(path.toString());
}

function holdingsOf(who: string, path: string, { said }: Running): Holdings {
  const spoken = Buffer.from(said.stdout + said.stderr);
  return { who, bytes: [...proxies.get(who)!.received(), ...filesOf(path), spoken] };
}

/** The contents of all files of a folder and below it. */
function filesOf(path: string): Buffer[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
}

/** Some pieces of a stage, as doubles and as floats: whoever has it has one of them. */
function piecesOf(masters: Float64Array): Buffer[] {
  const starts = [0.1, 0.35, 0.6, 0.85].map((share) => Math.floor(share * masters.length));
  return starts.flatMap((start) => {
    const doubles = masters.slice(start, start + 4);
    const floats = Float32Array.from(masters.subarray(start, start + 8));
    return [Buffer.from(bytesOf(doubles)), Buffer.from(bytesOf(floats))];
  });
}

function stagesIn(bytes: readonly Buffer[]): Set<number> {
  const has = (piece: Buffer) => bytes.some((one) => one.includes(piece));
  return new Set(taken.filter(({ masters }) => piecesOf(masters).some(has)).map(({ stage }) => stage));
}
