import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { randomStream } from '../../src/core/random.ts';
import { mask } from '../../src/privacy/mask.ts';
import { events, temporaryFolder } from '../support/cli.ts';
import {
  EVERY_CASE,
  enrolHere,
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
  watch,
} from '../support/deployment.ts';
import { commandLine, type Running, type Said } from '../support/processes.ts';
import { slowProxy } from '../support/slow-proxy.ts';

const TIMEOUT_MS = 1_800_000;
const SEED = 20260728;
/** Each takes a dozen seconds: half of them where not every case is played. */
const KILLS = EVERY_CASE ? 20 : 10;
/** Each kill is over within about a round; what is left runs through. */
const ROUNDS = KILLS + 2;
/** 80 kB an update, in five chunks; five at once take over a second on this link, so that many a kill comes in the middle. */
const MODEL = [
  'predictor.width=32',
  'predictor.layers=2',
  'predictor.feedforward=32',
  'training.localSteps=2',
];
const CHUNK_BYTES = 16_384;
const BYTES_PER_SECOND = 300_000;

const KINDS = ['uploaded', 'uploaded', 'folding', 'publishing', 'published'] as const;

interface Moment {
  readonly kind: (typeof KINDS)[number];
  /** Counted from the start of the process. */
  readonly nth: number;
  readonly delayMs: number;
}

/** The moments of a seed: a line of the log, and a little after it. */
function momentsOf(seed: number): Moment[] {
  const random = randomStream(seed, 'kills of the aggregator');
  return Array.from({ length: KILLS }, () => {
    const kind = KINDS[random.below(KINDS.length)]!;
    return { kind, nth: kind === 'uploaded' ? 1 + random.below(20) : 1, delayMs: random.below(31) };
  });
}

const lineSchema = z.object({ msg: z.string() });

/** How often the log has a line of a kind. */
function linesOf({ stderr }: Said, kind: string): number {
  const whole = stderr.slice(0, stderr.lastIndexOf('\n') + 1);
  return whole.split('\n').filter((line) => {
    const parsed = lineSchema.safeParse(line.startsWith('{') ? JSON.parse(line) : null);
    return parsed.success && parsed.data.msg === kind;
  }).length;
}

/** Changes the settings as their owner would. */
function setChunks(settings: string, bytes: number): void {
  const before = readFileSync(settings, 'utf8');
  const after = before.replace(/chunkBytes: \d+/, `chunkBytes: ${bytes}`);
  expect(after).not.toBe(before);
  writeFileSync(settings, after);
}

/** Resolves when somebody is healthy at an address. */
async function healthy(url: string): Promise<void> {
  for (;;) {
    try {
      if ((await fetch(`${url}/healthz`)).ok) return;
    } catch {
      // Nobody listens yet.
    }
    await wait(10);
  }
}

const sentSchema = z.object({ type: z.literal('sent'), round: z.int(), step: z.int() });

/** Steps in which a group was told that its part is taken, as round/step, each as often as it was told. */
function sentBy({ said }: Running): string[] {
  return events(said.stdout).flatMap((event) => {
    const parsed = sentSchema.safeParse(event);
    return parsed.success ? [`${parsed.data.round}/${parsed.data.step}`] : [];
  });
}

describe.skipIf(LONG_TESTS.skip)(`kill -9 of the aggregator${LONG_TESTS.why}`, () => {
  const cli = commandLine();
  const folder = temporaryFolder();
  const aggregator = join(folder, 'aggregator');

  it(
    `at ${KILLS} moments of a run: the same bytes, nothing lost (seed ${SEED})`,
    async () => {
      const overrides = smallRun(FIVE, [
        ...MODEL,
        `training.rounds=${ROUNDS}`,
        'evaluation.every=100',
        'protection.name=mask',
      ]);
      await cli.run(['aggregator', 'init', aggregator]);
      setChunks(join(aggregator, 'aggregator.yaml'), CHUNK_BYTES);
      let serving: Serving = await serve(cli, aggregator, 0, ['--log-level', 'info']);
      const { url } = serving;
      const port = Number(new URL(url).port);
      const run = await startRun(cli, aggregator, overrides);
      const invitations = await invite(cli, aggregator, run, FIVE.length);
      const proxy = await slowProxy({ port, bytesPerSecond: BYTES_PER_SECOND, dropEveryBytes: null });
      const folders = FIVE.map((group) => join(folder, group));
      for (const [index, group] of FIVE.entries()) {
        await enrolHere(folders[index]!, group, invitations[index]!, `http://127.0.0.1:${proxy.port}`);
      }
      const watching = folders.map((path) => watch(cli, path));

      const restarts: number[] = [];
      for (const { kind, nth, delayMs } of momentsOf(SEED)) {
        const { process } = serving;
        await process.until(`${nth} lines "${kind}"`, (said) => (linesOf(said, kind) >= nth ? true : null));
        await wait(delayMs);
        process.kill('SIGKILL');
        await process.ended;
        const startedAt = performance.now();
        const next = serve(cli, aggregator, port, ['--log-level', 'info']);
        await Promise.race([healthy(url), next]);
        restarts.push(Math.round(performance.now() - startedAt));
        serving = await next;
      }
      console.log(
        `from start to a healthy answer, ms: ${restarts.join(' ')}; at most ${Math.max(...restarts)}`,
      );

      await Promise.all(watching.map((running) => running.succeeded()));
      const { phase, history } = await statusOf(url, run);
      expect(phase).toBe('finished');
      expect(history.slice(1).map(({ updates }) => updates)).toEqual(Array(ROUNDS).fill(FIVE.length));
      // An update that was lost after it was taken would have been asked for, and taken, again.
      const once = Array.from({ length: ROUNDS }, (_, index) => index + 1).flatMap((round) =>
        mask.steps.map((_, step) => `${round}/${step}`),
      );
      for (const running of watching) expect(sentBy(running)).toEqual(once);
      const expected = await simulated(cli, join(folder, 'simulated'), overrides);
      for (const path of folders) expect(modelOf(path).equals(expected), path).toBe(true);
      await stop(serving);
      await proxy.close();
    },
    TIMEOUT_MS,
  );
});
