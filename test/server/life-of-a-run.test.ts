import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { invite } from '../../src/server/invitations.ts';
import { join, leave, type Member, memberOf } from '../../src/server/members.ts';
import { recordsAfter } from '../../src/server/models.ts';
import { createRun, definitionOf, startRun, stopRun } from '../../src/server/runs.ts';
import { takeScore } from '../../src/server/scores.ts';
import { statusOf } from '../../src/server/status.ts';
import { submit } from '../../src/server/submissions.ts';
import { cleanUp, passDeadlines, requestFolds } from '../../src/server/sweep.ts';
import { taskOf } from '../../src/server/tasks.ts';
import { beginUpload, takeChunk } from '../../src/server/uploads.ts';
import { encodeSubmission } from '../../src/wire/submission.ts';
import { inClear } from '../support/in-clear.ts';
import { updateOf } from '../support/protected-round.ts';
import {
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
  tinyPlan,
} from '../support/test-aggregator.ts';

let now = 1_800_000_000_000;
let test_: TestAggregator;

beforeAll(async () => {
  test_ = await openTestAggregator({ clock: { now: () => now } });
});
afterAll(() => test_.close());

/** A run with members of these names; joined as they are listed. */
async function runWith(groups: readonly string[], plan = tinyPlan()) {
  const { aggregator } = test_;
  const { run } = await createRun(aggregator, { name: 'life', plan });
  const { tokens } = await invite(aggregator, run, {
    group: null,
    count: groups.length,
    expiresInMs: 60_000,
  });
  const members = new Map<string, Member>();
  for (const [index, group] of groups.entries()) {
    const { publicKey } = freshIdentity();
    await join(aggregator, run, publicKey, { group, token: tokens[index]! });
    members.set(group, await memberOf(aggregator, run, publicKey));
  }
  return { run, members, plan };
}

/** Uploads and submits an update of a group for the round that is asked of it. */
async function send(run: string, member: Member, value = 0.5) {
  const { aggregator, services } = test_;
  const { definition, digest: runDigest } = await definitionOf(aggregator, run);
  const { round, step, model } = await taskOf(aggregator, member);
  const { parameters } = definition.plan;
  const delta = new Float32Array(parameters).fill(value);
  const update = inClear(updateOf(member.group_id, 1, delta, { round }));
  const { bytes } = encodeSubmission(update, { run: runDigest, step, model: model.model });
  const digest = sha256(bytes);
  await beginUpload(aggregator, services.gate, member, { digest, size: bytes.byteLength }, 2 ** 20);
  await takeChunk(aggregator, services.gate, member, { digest, offset: 0, bytes: Buffer.from(bytes) });
  const plan = services.plans.get(runDigest, definition.plan);
  return submit({ ...services, plan }, member, { round, step, digest });
}

/** Until the run has left the phase of folding. */
async function settled(run: string) {
  for (;;) {
    const status = await statusOf(test_.aggregator, run);
    if (status.phase !== 'folding') return status;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a run', () => {
  test('begins with its quorum, is folded when all have sent, and says who is awaited and why', async () => {
    const { run, members } = await runWith(['a', 'b']);
    const begun = await statusOf(test_.aggregator, run);
    expect(begun).toMatchObject({ phase: 'collecting', round: 1, asked: 2, replied: 0 });
    expect(begun.awaited).toEqual([
      expect.objectContaining({ group: 'a', why: expect.stringContaining('round') }),
      expect.objectContaining({ group: 'b' }),
    ]);
    await send(run, members.get('b')!);
    const half = await statusOf(test_.aggregator, run);
    expect(half.awaited.map(({ group }) => group)).toEqual(['a']);
    expect(half.summary).toContain('1 of 2 groups have sent');
    await send(run, members.get('a')!);
    expect(await settled(run)).toMatchObject({ phase: 'collecting', round: 2 });
    const records = await recordsAfter(test_.aggregator, run, -1);
    expect(records.map(({ round, updates }) => [round, updates])).toEqual([
      [0, 0],
      [1, 2],
    ]);
  });

  test('tells how far an upload is', async () => {
    const { run, members } = await runWith(['a', 'b']);
    const bytes = Buffer.alloc(1000, 7);
    const digest = sha256(bytes);
    await beginUpload(
      test_.aggregator,
      test_.services.gate,
      members.get('a')!,
      { digest, size: 1000 },
      2 ** 20,
    );
    await takeChunk(test_.aggregator, test_.services.gate, members.get('a')!, {
      digest,
      offset: 0,
      bytes: bytes.subarray(0, 400),
    });
    const { awaited } = await statusOf(test_.aggregator, run);
    expect(awaited[0]).toMatchObject({
      why: 'is uploading: 400 B of 1.00 kB',
      uploadedBytes: 400,
      uploadBytes: 1000,
    });
  });

  test('goes on with its quorum at the deadline; late joiners come in at the next round, leavers are not awaited', async () => {
    const { run, members, plan } = await runWith(['a', 'b', 'c']);
    // c joined when the run had begun with a and b.
    expect(await taskOf(test_.aggregator, members.get('c')!)).toMatchObject({ round: 1, asked: false });
    await send(run, members.get('a')!);
    await send(run, members.get('b')!);
    expect(await settled(run)).toMatchObject({ round: 2, asked: 3 });
    await send(run, members.get('a')!);
    await send(run, members.get('b')!);
    await passDeadlines(test_.aggregator);
    expect(await statusOf(test_.aggregator, run)).toMatchObject({ phase: 'collecting', round: 2 });
    now += plan.deadlineMs;
    await passDeadlines(test_.aggregator);
    expect(await settled(run)).toMatchObject({ round: 3 });
    await leave(test_.aggregator, run, 'c');
    await send(run, members.get('a')!);
    await send(run, members.get('b')!);
    expect(await settled(run)).toMatchObject({ phase: 'finished', round: 3 });
  });

  test('fails without a quorum, says who is missing, and is opened again with nothing received', async () => {
    const { run, members, plan } = await runWith(['a', 'b']);
    await send(run, members.get('a')!, 0.25);
    now += plan.deadlineMs;
    await passDeadlines(test_.aggregator);
    const failed = await statusOf(test_.aggregator, run);
    expect(failed).toMatchObject({ phase: 'failed', failure: expect.stringContaining('missing: b') });
    await startRun(test_.aggregator, run);
    expect((await statusOf(test_.aggregator, run)).awaited.map(({ group }) => group)).toEqual(['a', 'b']);
    // The same bytes as before the failure count anew.
    expect(await send(run, members.get('a')!, 0.25)).toEqual({ repeated: false });
    await send(run, members.get('b')!);
    expect(await settled(run)).toMatchObject({ round: 2 });
  });

  test('that is stopped takes nothing more', async () => {
    const { run, members } = await runWith(['a', 'b']);
    await stopRun(test_.aggregator, run);
    expect(await statusOf(test_.aggregator, run)).toMatchObject({ phase: 'stopped' });
    await expect(send(run, members.get('a')!)).rejects.toMatchObject({ code: 'GROUP_NOT_ASKED' });
  });

  test('keeps the bytes of updates only until they are in a model', async () => {
    const { run, members } = await runWith(['a', 'b']);
    const keptOf = () =>
      test_.aggregator.db
        .selectFrom('submissions')
        .select('blob')
        .where('run', '=', run)
        .where('kept', '=', true)
        .execute();
    await send(run, members.get('a')!);
    await cleanUp(test_.aggregator);
    const [kept] = await keptOf();
    expect(await test_.aggregator.blobs.read(kept!.blob)).not.toBeNull();
    await send(run, members.get('b')!);
    await settled(run);
    await cleanUp(test_.aggregator);
    expect(await keptOf()).toEqual([]);
    expect(await test_.aggregator.blobs.read(kept!.blob)).toBeNull();
  });

  test('is not folded twice when the fold is asked for again', async () => {
    const { run, members } = await runWith(['a', 'b']);
    await send(run, members.get('a')!);
    await Promise.all([
      send(run, members.get('b')!),
      requestFolds(test_.aggregator),
      requestFolds(test_.aggregator),
    ]);
    await settled(run);
    await requestFolds(test_.aggregator);
    expect((await recordsAfter(test_.aggregator, run, -1)).map(({ round }) => round)).toEqual([0, 1]);
    expect(test_.failures).toEqual([]);
  });

  test('scores are told as means only; a second word of a group replaces its first', async () => {
    const { run, members } = await runWith(['a', 'b']);
    const [start] = await recordsAfter(test_.aggregator, run, -1);
    const say = (group: string, alignment: number) =>
      takeScore(test_.aggregator, members.get(group)!, {
        round: 0,
        model: start!.model,
        alignment,
        questions: 5,
        loss: null,
      });
    await say('a', 0.1);
    await say('a', 0.9);
    await say('b', 0.7);
    const { scores } = await statusOf(test_.aggregator, run);
    expect(scores).toHaveLength(1);
    expect(scores[0]).toMatchObject({ round: 0, groups: 2, worst: 0.7, loss: null });
    expect(scores[0]!.mean).toBeCloseTo(0.8);
    expect(scores[0]!.coefficientOfVariation).toBeCloseTo(0.125);
    await expect(
      takeScore(test_.aggregator, members.get('a')!, {
        round: 0,
        model: 'ab'.repeat(32),
        alignment: 1,
        questions: 1,
        loss: null,
      }),
    ).rejects.toMatchObject({ code: 'UPDATE_OF_ANOTHER_MODEL' });
  });
});

describe('the event stream', () => {
  /** Reads events from the real server until `count` are there. */
  function read(
    url: string,
    count: number,
    headers: Record<string, string> = {},
  ): Promise<{ id: number; type: string }[]> {
    return new Promise((resolve, reject) => {
      const request = get(url, { headers }, (response) => {
        let text = '';
        response.on('data', (part) => {
          text += part;
          const found = [...text.matchAll(/id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n/g)];
          if (found.length < count) return;
          request.destroy();
          resolve(found.slice(0, count).map(([, id, type]) => ({ id: Number(id), type: type! })));
        });
      });
      request.on('error', reject);
    });
  }

  test('tells what happens as it happens, and goes on behind the event that was seen last', async () => {
    const { run, members } = await runWith(['a', 'b']);
    await test_.app.listen({ host: '127.0.0.1', port: 0 });
    const address = test_.app.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const url = `http://127.0.0.1:${port}/v1/runs/${run}/events`;
    const whole = await read(url, 3, { 'last-event-id': '0' });
    expect(whole.map(({ type }) => type)).toEqual(['joined', 'joined', 'asked']);
    const live = read(url, 5, { 'last-event-id': String(whole[2]!.id) });
    await send(run, members.get('a')!);
    await send(run, members.get('b')!);
    const types = (await live).map(({ type }) => type);
    expect(types).toEqual(['received', 'received', 'folding', 'published', 'asked']);
    const resumed = await read(url, 1, { 'last-event-id': String(whole[1]!.id) });
    expect(resumed).toEqual([whole[2]]);
  });
});
