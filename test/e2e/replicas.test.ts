import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { temporaryFolder } from '../support/cli.ts';
import { FIVE, LONG_TESTS, modelOf, simulated, smallRun } from '../support/deployment.ts';
import { groupHome, takePart } from '../support/group-in-process.ts';
import { freshDatabase, testDatabaseUrl, testPool, WITHOUT_DATABASE } from '../support/postgres.ts';
import { commandLine } from '../support/processes.ts';
import { patient, Replicas } from '../support/replicas.ts';
import { ReplicatedRun, toldBy } from '../support/replicated-run.ts';

const TIMEOUT_MS = 420_000;
const eventually = (claim: () => void | Promise<void>) =>
  vi.waitFor(claim, { timeout: TIMEOUT_MS / 2, interval: 20 });
const server = await testDatabaseUrl();
const databaseUrl = server === null ? '' : await freshDatabase(server);
const why = server === null ? ` (${WITHOUT_DATABASE})` : '';

describe.skipIf(server === null)(`three replicas on PostgreSQL and S3${why}`, () => {
  const schema = `replicas_${randomBytes(4).toString('hex')}`;
  const folder = temporaryFolder();
  const place = (name: string) => join(folder, name);
  const pool = testPool(databaseUrl, 3);
  const cli = commandLine();
  let replicas: Replicas;

  beforeAll(async () => {
    replicas = await Replicas.start(cli, { folder: place('aggregator'), databaseUrl, schema }, 3);
  }, TIMEOUT_MS);

  afterAll(() => replicas?.close());

  /** As a restart of the database does. */
  const endAllConnections = () =>
    pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );

  const rowsOf = async (columns: string, table: string, run: string) => {
    const { rows } = await pool.query(`select ${columns} from ${schema}.${table} where run = $1 order by 1`, [
      run,
    ]);
    return rows;
  };

  describe.skipIf(LONG_TESTS.skip)(`a run of five groups${LONG_TESTS.why}`, () => {
    const ROUNDS = 6;
    const overrides = smallRun(FIVE, [`training.rounds=${ROUNDS}`, 'round.quorum=5', 'predictor.width=32']);
    const sent: unknown[] = [];
    let run: string;
    let over: Promise<unknown>;
    let expected: Promise<Buffer>;

    beforeAll(async () => {
      const experiment = await prepareExperiment(loadConfig('configs/gpo.yaml', overrides), () => {});
      const admin = replicas.admin();
      ({ run } = await admin.createRun({ name: 'five', plan: planOf(experiment) }));
      const request = { group: null, count: FIVE.length, expiresInMs: 3_600_000 };
      const { tokens } = await admin.invite(run, request);
      const homes = await Promise.all(FIVE.map((group) => groupHome(place(group), group)));
      const { url, publicKey: aggregatorKey } = replicas;
      const groups = homes.map((home, index) => {
        const group = FIVE[index]!;
        return takePart({
          home,
          group,
          invitation: { url, run, aggregatorKey, group: null, token: tokens[index]! },
          apiOf: (identity) => replicas.api(url, identity, run, patient),
          emit: (event) => {
            if (event.type !== 'sent') return;
            const { round, step, digest } = event;
            sent.push({ round, step, group_id: group, digest });
          },
        });
      });
      over = Promise.all(groups);
      // Who waits for it is told; until then nobody is.
      over.catch(() => undefined);
    }, TIMEOUT_MS);

    /** Fails, instead of waiting for ever, where the run is over before. */
    const inTime = <Result>(moment: Promise<Result>): Promise<Result> =>
      Promise.race([
        moment,
        over.then(() => {
          throw new Error('the run was over before');
        }),
      ]);

    test(
      'goes on where a replica is killed in the middle of uploads',
      async () => {
        const part = replicas.bucket.hold(
          ({ method, path }) => method === 'PUT' && /\/parts\/[^/]+\/[1-9]/.test(path),
        );
        await inTime(part.arrived);
        const [chunk] = replicas.balancer.underWay().filter(({ path }) => /uploads\/.*=[1-9]/.test(path));
        await replicas.kill(chunk!.target);
        part.release();
        await replicas.replace(1);
        await eventually(() => {
          const again = replicas.balancer.passed.filter(
            ({ path, status }) => path === chunk!.path && status === 200,
          );
          expect(again).toHaveLength(1);
        });
        // What another replica had taken was not sent again.
        const digest = chunk!.path.split(/[/?]/).at(-2);
        const first = replicas.balancer.passed.filter(({ path }) => path.endsWith(`${digest}?offset=0`));
        expect(first).toHaveLength(1);
      },
      TIMEOUT_MS,
    );

    const holdFold = () =>
      replicas.bucket.hold(({ method, path }) => method === 'PUT' && path.includes('/models/'));

    test(
      'goes on where the replica that adds a round is killed at it',
      async () => {
        const model = holdFold();
        await inTime(model.arrived);
        const { round } = await replicas.admin().status(run);
        const folding = new RegExp(`"round":${round},.*"msg":"folding"`);
        const victim = () => replicas.all.find(({ process }) => folding.test(process.said.stderr));
        await eventually(() => expect(victim()).toBeDefined());
        await replicas.kill(victim()!.url);
        model.release();
        // Until the job of the one that was killed is given to another there is time.
        expected = simulated(cli, place('simulated'), overrides);
        await replicas.replace(1);
        await inTime(
          eventually(async () => expect((await replicas.admin().status(run)).round).toBeGreaterThan(round)),
        );
      },
      TIMEOUT_MS,
    );

    test(
      'goes on where the database ends all connections, in the middle of a fold and of submissions',
      async () => {
        const model = holdFold();
        await inTime(model.arrived);
        await endAllConnections();
        model.release();
        for (let times = 0; times < 6; times++) {
          const submission = replicas.balancer.hold(({ path }) => path.endsWith('/submissions'));
          await inTime(submission.arrived);
          const ended = endAllConnections();
          submission.release();
          await ended;
        }
        await over;
        expect(replicas.all.map(({ process }) => process.over)).toEqual([false, false, false]);
      },
      TIMEOUT_MS,
    );

    test(
      'ends with the bytes of the simulation, nothing lost and nothing twice',
      async () => {
        await over;
        const bytes = await expected;
        for (const group of FIVE) expect(modelOf(place(group)).equals(bytes), group).toBe(true);
        const { phase, history, errors } = await replicas.admin().status(run);
        expect(phase).toBe('finished');
        expect(history.map(({ updates }) => updates)).toEqual([0, ...Array(ROUNDS).fill(5)]);
        expect(errors).toEqual([]);
        const kept = await rowsOf('round, step, group_id, digest', 'submissions', run);
        expect(kept).toHaveLength(5 * ROUNDS);
        expect(kept).toEqual(expect.arrayContaining(sent));
        const told = await rowsOf('seq, type', 'events', run);
        expect(told.filter(({ type }) => type === 'published')).toHaveLength(ROUNDS);
      },
      TIMEOUT_MS,
    );

    test('was told of trouble in no other words than "try again"', () => {
      const faults = replicas.balancer.passed.filter(({ status }) => status !== null && status >= 500);
      for (const { path, status, refusal } of faults) {
        if (status === 502) continue;
        expect({ path, status, refusal }).toMatchObject({ status: 503 });
        expect(JSON.parse(refusal).error.code).toBe('STORE_UNAVAILABLE');
      }
    });
  });

  /**
   * Makes `count` requests meet at the row of a run: it is let go when all of them wait for it. `meanwhile` may change what
   * is no key of the row.
   */
  async function atOnce<Result>(
    run: string,
    count: number,
    act: () => Promise<Result>,
    meanwhile: () => Promise<unknown> = async () => undefined,
  ): Promise<Result> {
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query(`select from ${schema}.runs where id = $1 for key share`, [run]);
      await meanwhile();
      const acting = act();
      await eventually(async () => {
        const { rows } = await pool.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        expect(rows).toHaveLength(count);
      });
      await client.query('commit');
      return await acting;
    } finally {
      client.release();
    }
  }

  describe('two replicas that are asked at once', () => {
    test(
      'take the same update once, and acknowledge it twice',
      async () => {
        const run = await ReplicatedRun.create(replicas, 3);
        const members = [await run.join('a', 0), await run.join('b', 1)];
        const values = [
          { value: 0.25, weight: 3 },
          { value: 0.75, weight: 1 },
        ];
        const before = await run.parameters(members[0]!, 0);
        for (let round = 1; round <= 3; round++) {
          for (const [index, member] of members.entries()) {
            const claim = await run.uploaded(member, values[index], index);
            const both = () => Promise.all([run.submit(0, member, claim), run.submit(2, member, claim)]);
            expect((await atOnce(run.run, 2, both)).sort()).toEqual(['new', 'repeated']);
            expect(await run.submit(1, member, claim)).toBe('repeated');
          }
          await eventually(async () => expect((await run.status()).history).toHaveLength(round + 1));
        }
        expect((await run.status()).history.map(({ updates }) => updates)).toEqual([0, 2, 2, 2]);
        const told = await rowsOf('seq, type', 'events', run.run);
        expect(told.filter(({ type }) => type === 'received')).toHaveLength(6);
        // (3 x 0.25 + 1 x 0.75) / 4 in each round; counted twice, one of them would weigh more.
        const after = await run.parameters(members[0]!, 3);
        for (const [index, value] of after.entries())
          expect(value).toBeCloseTo(before[index]! + 3 * 0.375, 5);
      },
      TIMEOUT_MS,
    );

    test(
      'take one of two different updates of a group, and refuse the other',
      async () => {
        const run = await ReplicatedRun.create(replicas, 2);
        const members = [await run.join('a'), await run.join('b')];
        for (const member of members) {
          const claims = [
            await run.uploaded(member, { value: 0.5 }, 0),
            await run.uploaded(member, { value: -0.5 }, 1),
          ];
          const both = () => Promise.all(claims.map((claim, index) => run.submit(index, member, claim)));
          const answers = await atOnce(run.run, 2, both);
          expect(answers.toSorted()).toEqual(['UPDATE_CHANGED', 'new']);
          const winner = claims[answers.indexOf('new')]!.digest;
          const kept = await rowsOf('group_id, digest', 'submissions', run.run);
          expect(kept).toContainEqual({ group_id: member.group, digest: winner });
        }
        await eventually(async () => expect((await run.status()).round).toBe(2));
        const { history, errors } = await run.status();
        expect(history.map(({ updates }) => updates)).toEqual([0, 2]);
        expect(errors.map(({ code }) => code)).toEqual(['UPDATE_CHANGED', 'UPDATE_CHANGED']);
      },
      TIMEOUT_MS,
    );

    test(
      'answer a request with the same nonce once',
      async () => {
        const run = await ReplicatedRun.create(replicas, 1);
        const member = await run.join('a');
        for (let times = 0; times < 10; times++) {
          const answers = await run.sameSigned(member, [0, 1, 2]);
          expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
          const refused = answers.filter(({ status }) => status === 401);
          for (const { text } of refused) expect(JSON.parse(text).error.code).toBe('NONCE_REPLAYED');
        }
      },
      TIMEOUT_MS,
    );
  });

  test(
    'the event stream of one replica tells what the others did, and another goes on with it',
    async () => {
      const [a] = replicas.all;
      const run = await ReplicatedRun.create(replicas, 1);
      const live = toldBy(a!.url, run.run, { after: null, until: 'finished' });
      await eventually(async () => {
        const metrics = await (await fetch(`${a!.url}/metrics`)).text();
        expect(metrics).toContain('pluralllm_event_streams 1');
      });
      const members = [await run.join('a', 1), await run.join('b', 2)];
      for (const [index, member] of members.entries()) {
        await run.submit(2 - index, member, await run.uploaded(member, {}, index + 1));
      }
      const told = await live;
      const types = told.map(({ type }) => type);
      const rest = ['asked', 'received', 'received', 'folding', 'published', 'finished'];
      expect(types).toEqual(['joined', 'joined', ...rest]);
      for (const { url } of replicas.all) {
        const again = await toldBy(url, run.run, { after: told[1]!.id, until: 'finished' });
        expect(again).toEqual(told.slice(2));
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a deadline passes once, although three replicas see it pass at once',
    async () => {
      const run = await ReplicatedRun.create(replicas, 1);
      const members = [await run.join('a'), await run.join('b')];
      await run.join('late');
      const submit = async (index: number) => {
        const member = members[index]!;
        expect(await run.submit(index, member, await run.uploaded(member))).toBe('new');
      };
      const passDeadline = () =>
        atOnce(
          run.run,
          3,
          async () => undefined,
          () => pool.query(`update ${schema}.runs set deadline_at = 1 where id = $1`, [run.run]),
        );
      await submit(0);
      await passDeadline();
      await eventually(async () => expect((await run.status()).phase).toBe('failed'));
      await replicas.admin().start(run.run);
      for (const index of [0, 1]) await submit(index);
      await passDeadline();
      await eventually(async () => expect((await run.status()).phase).toBe('finished'));
      const told = await rowsOf('seq, type', 'events', run.run);
      const first = ['joined', 'joined', 'asked', 'joined', 'received', 'failed'];
      const second = ['asked', 'received', 'received', 'folding', 'published', 'finished'];
      expect(told.map(({ type }) => type)).toEqual([...first, ...second]);
    },
    TIMEOUT_MS,
  );

  test(
    'each ends well when it is told to, and the address of the last stays noted no longer',
    async () => {
      const endings = replicas.all.map(async ({ process }) => {
        process.kill('SIGTERM');
        return (await process.ended).code;
      });
      expect(await Promise.all(endings)).toEqual([0, 0, 0]);
      expect(existsSync(join(place('aggregator'), 'address.json'))).toBe(false);
    },
    TIMEOUT_MS,
  );
});
