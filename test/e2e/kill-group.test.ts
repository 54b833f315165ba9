import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { temporaryFolder } from '../support/cli.ts';
import {
  EVERY_CASE,
  enrolHere,
  FIVE,
  invite,
  LONG_TESTS,
  modelOf,
  serve,
  simulated,
  smallRun,
  startRun,
  statusOf,
  stop,
  watch,
} from '../support/deployment.ts';
import { commandLine, type Said } from '../support/processes.ts';

const TIMEOUT_MS = 1_800_000;
const SEED = 20260728;
/** Each takes a dozen seconds: half of them where not every case is played. */
const KILLS = EVERY_CASE ? 20 : 10;
/** Two kills come at once, and are over within about a round; what is left runs through. */
const ROUNDS = KILLS / 2 + 4;

const KINDS = ['model', 'score', 'training', 'trained', 'transfer', 'sent'] as const;

interface Moment {
  readonly group: number;
  readonly kind: (typeof KINDS)[number];
  readonly delayMs: number;
}

/** Pairs of different groups, each with the event that it is killed after. */
function momentsOf(seed: number): Moment[][] {
  const random = randomStream(seed, 'kills of groups');
  return Array.from({ length: KILLS / 2 }, () =>
    random
      .shuffled([...FIVE.keys()])
      .slice(0, 2)
      .map((group) => ({ group, kind: KINDS[random.below(KINDS.length)]!, delayMs: random.below(31) })),
  );
}

/** How many events of a kind a group has told. */
function toldOf({ stdout }: Said, kind: string): number {
  return stdout.split(`{"type":"${kind}"`).length - 1;
}

describe.skipIf(LONG_TESTS.skip)(`kill -9 of groups${LONG_TESTS.why}`, () => {
  const cli = commandLine();
  const folder = temporaryFolder();
  const aggregator = join(folder, 'aggregator');

  it(
    `at ${KILLS} moments of a run: the same bytes (seed ${SEED})`,
    async () => {
      const overrides = smallRun(FIVE, [
        `training.rounds=${ROUNDS}`,
        'training.localSteps=2',
        'evaluation.every=100',
        'protection.name=mask',
      ]);
      await cli.run(['aggregator', 'init', aggregator]);
      const serving = await serve(cli, aggregator);
      const run = await startRun(cli, aggregator, overrides);
      const invitations = await invite(cli, aggregator, run, FIVE.length);
      const folders = FIVE.map((group) => join(folder, group));
      for (const [index, group] of FIVE.entries())
        await enrolHere(folders[index]!, group, invitations[index]!);
      const watching = folders.map((path) => watch(cli, path));

      for (const pair of momentsOf(SEED)) {
        await Promise.all(
          pair.map(async ({ group, kind, delayMs }) => {
            const running = watching[group]!;
            const before = toldOf(running.said, kind);
            await running.until(`"${kind}"`, (said) => (toldOf(said, kind) > before ? true : null));
            await wait(delayMs);
            running.kill('SIGKILL');
            expect((await running.ended).signal).toBe('SIGKILL');
            watching[group] = watch(cli, folders[group]!);
          }),
        );
      }

      await Promise.all(watching.map((running) => running.succeeded()));
      const { phase, history, errors } = await statusOf(serving.url, run);
      expect(phase).toBe('finished');
      expect(errors).toEqual([]);
      expect(history.slice(1).map(({ updates }) => updates)).toEqual(Array(ROUNDS).fill(FIVE.length));
      const expected = await simulated(cli, join(folder, 'simulated'), overrides);
      for (const path of folders) expect(modelOf(path).equals(expected), path).toBe(true);
      await stop(serving);
    },
    TIMEOUT_MS,
  );
});
