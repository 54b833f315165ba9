import { afterAll, beforeAll, expect, test } from 'vitest';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { type Database, openEmbedded } from '../../src/server/store/database.ts';
import { temporaryFolder } from '../support/cli.ts';
import { HeldBlobs } from '../support/held-blobs.ts';
import { signedInject, type TestGroup, TestRun } from '../support/signed-inject.ts';
import { openTestAggregator, type TestAggregator } from '../support/test-aggregator.ts';

/** What a replica does late, after a group has given up waiting for it and asked another. */

const folder = temporaryFolder();
let database: Database;
let blobs: HeldBlobs;
/** The one that groups ask, and the one that is late. */
let swift: TestAggregator;
let slow: TestAggregator;
let run: TestRun;
let groups: readonly TestGroup[];

beforeAll(async () => {
  database = await openEmbedded(null);
  blobs = new HeldBlobs(await diskBlobs(folder));
  swift = await openTestAggregator({ database, blobs: await diskBlobs(folder) });
  slow = await openTestAggregator({ database, blobs });
  run = await TestRun.create(swift);
  groups = [await run.join('a'), await run.join('b')];
});

afterAll(async () => {
  await swift?.close();
  await slow?.close();
  await database?.close();
});

const put = (group: TestGroup, digest: string, offset: number, body: Uint8Array) =>
  signedInject(slow, group.identity, {
    method: 'PUT',
    path: run.path(`/uploads/${digest}?offset=${offset}`),
    body,
  });

/** The group's part of the round, sent to the swift replica; then the round is folded. */
async function finishRound(round: number): Promise<void> {
  for (const group of groups) if ((await run.task(group)).replied === null) await run.takePart(group);
  await run.folded(round);
  expect(swift.failures).toEqual([]);
}

test('a late end of an upload takes nothing of what was submitted meanwhile', async () => {
  const [group] = groups;
  const { bytes, digest, round, step } = await run.submission(group!);
  await run.begin(group!, digest, bytes.byteLength);
  const whole = blobs.holdWrite((key) => key.startsWith('updates/'));
  const late = put(group!, digest, 0, bytes);
  await whole.arrived;
  await run.upload(group!, { bytes, digest });
  expect((await run.submit(group!, { round, step, digest })).json()).toEqual({ repeated: false });
  whole.release();
  expect((await late).json()).toMatchObject({ complete: true });
  await finishRound(round);
});

test('a chunk that is stored late does not spoil an upload that went on in smaller ones', async () => {
  const [group] = groups;
  const { bytes, digest, round, step } = await run.submission(group!);
  await run.begin(group!, digest, bytes.byteLength);
  const part = blobs.holdWrite((key) => key.startsWith('parts/'));
  const late = put(group!, digest, 0, bytes.subarray(0, 200));
  await part.arrived;
  expect((await run.chunk(group!, digest, 0, bytes.subarray(0, 100))).json()).toMatchObject({
    received: 100,
  });
  part.release();
  await late;
  const rest = await run.chunk(group!, digest, 100, bytes.subarray(100));
  expect(rest.json()).toMatchObject({ complete: true });
  expect((await run.submit(group!, { round, step, digest })).json()).toEqual({ repeated: false });
  await finishRound(round);
});

test('an update that waited for its check while another replica took it is acknowledged', async () => {
  const [group] = groups;
  const { bytes, digest, round, step } = await run.submission(group!);
  await run.upload(group!, { bytes, digest });
  let open = () => {};
  const busy = new Promise<void>((resolve) => {
    open = resolve;
  });
  const checks = Array.from({ length: 3 }, () => slow.services.gate.run(() => busy));
  const body = { round, step, digest };
  const call = { method: 'POST', path: run.path('/submissions'), body } as const;
  const late = signedInject(slow, group!.identity, call);
  // The database does one thing after the other: after some of these the other stands at the gate.
  for (let times = 0; times < 50; times++) await database.db.selectFrom('runs').select('id').execute();
  expect((await run.submit(group!, body)).json()).toEqual({ repeated: false });
  open();
  expect((await late).json()).toEqual({ repeated: true });
  await Promise.all(checks);
  await finishRound(round);
  expect((await run.status()).errors).toEqual([]);
});
