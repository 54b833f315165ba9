import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upload } from '../../src/client/transfer.ts';
import { once } from '../../src/client/retry.ts';
import { loadConfig } from '../../src/config/load.ts';
import { float32From } from '../../src/core/bytes.ts';
import { asPluralError } from '../../src/core/errors.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { freshSecret, type Identity, identityOf } from '../../src/wire/identity.ts';
import { signRequest } from '../../src/wire/signed-request.ts';
import { eventually } from '../conformance/fold-jobs.ts';
import { temporaryFolder } from '../support/cli.ts';
import { FIVE, modelOf, simulated, smallRun } from '../support/deployment.ts';
import { groupHome, takePart } from '../support/group-in-process.ts';
import { freshDatabase, testDatabaseUrl, testPool, WITHOUT_DATABASE } from '../support/postgres.ts';
import { type CommandLine, compiledCommandLine } from '../support/processes.ts';
import { patient, Replicas } from '../support/replicas.ts';
import { encodedUpdate } from '../support/signed-inject.ts';
import { tinyPlan } from '../support/test-aggregator.ts';

const TIMEOUT_MS = 420_000;
const server = await testDatabaseUrl();
const databaseUrl = server === null ? '' : await freshDatabase(server);
const why = server === null ? ` (${WITHOUT_DATABASE})` : '';

describe.skipIf(server === null)(`three replicas on PostgreSQL and S3${why}`, () => {
  const schema = `replicas_${randomBytes(4).toString('hex')}`;
  const folder = temporaryFolder();
  const place = (name: string) => join(folder, name);
  const pool = testPool(databaseUrl, 3);
  let cli: CommandLine;
  let replicas: Replicas;

  beforeAll(async () => {
    cli = await compiledCommandLine();
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
    const { rows } = await pool.query(`select ${columns} from ${schema}.${table} where run = $1`, [run]);
    return rows;
  };

  describe('a run of five groups', () => {
    const ROUNDS = 6;
    const overrides = smallRun(FIVE, [`training.rounds=${ROUNDS}`, 'round.quorum=5', 'predictor.width=32']);
    const sent: unknown[] = [];
    let run: string;
    let over: Promise<unknown>;

    beforeAll(async () => {
      const experiment = await prepareExperiment(loadConfig('configs/quickstart.yaml', overrides), () => {});
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
        const expected = await simulated(cli, place('simulated'), overrides);
        for (const group of FIVE) expect(modelOf(place(group)).equals(expected), group).toBe(true);
        const { phase, history, errors } = await replicas.admin().status(run);
        expect(phase).toBe('finished');
        expect(history.map(({ updates }) => updates)).toEqual([0, ...Array(ROUNDS).fill(5)]);
        expect(errors).toEqual([]);
        const kept = await rowsOf('round, step, group_id, digest', 'submissions', run);
        expect(kept).toHaveLength(5 * ROUNDS);
        expect(kept).toEqual(expect.arrayContaining(sent));
        const told = await rowsOf('type', 'events', run);
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
});
