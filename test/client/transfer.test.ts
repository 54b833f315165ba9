import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AggregatorApi } from '../../src/client/api.ts';
import { retryWith } from '../../src/client/retry.ts';
import { downloadModel, upload } from '../../src/client/transfer.ts';
import type { Transport } from '../../src/client/transport.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { FakeAggregator } from './fake-aggregator.ts';

const identity = identityOf('11'.repeat(32));
const broken = () => new PluralError('AGGREGATOR_UNREACHABLE', 'the connection broke');

interface Link {
  readonly transport: Transport;
  /** Bytes of the bodies of all requests that were tried, by method. */
  readonly sizes: { method: string; bytes: number }[];
}

/** A connection that breaks whenever so many bytes have gone over it, in either direction; a new one is opened then. */
function breaking(aggregator: FakeAggregator, everyBytes: number): Link {
  let gone = 0;
  const sizes: Link['sizes'] = [];
  const transport: Transport = async (request) => {
    gone += request.body.byteLength;
    sizes.push({ method: request.method, bytes: request.body.byteLength });
    if (gone <= everyBytes) {
      const answer = await aggregator.transport(request);
      gone += answer.body.byteLength;
      if (gone <= everyBytes) return answer;
    }
    gone = 0;
    throw broken();
  };
  return { transport, sizes };
}

/** Loses requests, answers, or the memory of the aggregator, by chance. */
function unreliable(aggregator: FakeAggregator, random: RandomStream): Transport {
  return async (request) => {
    const fate = random.uniform();
    if (fate < 0.15) throw broken();
    if (fate < 0.2) aggregator.forgetUploads();
    const answer = await aggregator.transport(request);
    if (fate > 0.85) throw broken();
    // The network carries the same request twice.
    if (fate > 0.8) await aggregator.transport(request);
    return answer;
  };
}

function over(aggregator: FakeAggregator, transport: Transport, waits: number[] = []) {
  aggregator.enrol('g', identity.publicKey);
  const retry = retryWith({
    patienceMs: Number.POSITIVE_INFINITY,
    sleep: async (ms) => void waits.push(ms),
    random: () => 0,
  });
  const aggregatorKey = aggregator.identity.publicKey;
  const { run } = aggregator.definition;
  return { api: new AggregatorApi({ transport, identity, aggregatorKey, run, retry }), retry };
}

function randomBytes(length: number, seed: number): Uint8Array {
  const random = randomStream(seed, 'bytes');
  return Uint8Array.from({ length }, () => random.below(256));
}

const LARGE = 4_750_000;

describe('a link that breaks every 200 kB', () => {
  test('delivers 4.75 MB', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    const { transport, sizes } = breaking(aggregator, 200_000);
    const bytes = randomBytes(LARGE, 1);
    const digest = await upload(over(aggregator, transport), bytes);
    expect(digest).toBe(sha256(bytes));
    expect(aggregator.uploaded(digest).equals(bytes)).toBe(true);
    const sent = sizes.reduce((sum, { bytes: count }) => sum + count, 0);
    expect(sent).toBeLessThan(1.3 * LARGE);
  });

  test('brings a model of 4.75 MB', async () => {
    const aggregator = new FakeAggregator({ parameters: LARGE / 4, rounds: 1 });
    const { transport } = breaking(aggregator, 200_000);
    const model = await downloadModel(over(aggregator, transport), aggregator.records[0]!, LARGE / 4);
    expect(sha256(bytesOf(model))).toBe(aggregator.records[0]!.model);
  });

  test('breaks do not add up to long waits while something arrives in between', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    const waits: number[] = [];
    const { transport } = breaking(aggregator, 200_000);
    await upload(over(aggregator, transport, waits), randomBytes(LARGE, 2));
    expect(Math.max(...waits)).toBeLessThanOrEqual(250);
  });
});

describe('chunks', () => {
  test('grow from 256 KiB to what the aggregator takes', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1, chunkBytes: 2 ** 20 });
    const { transport, sizes } = breaking(aggregator, Number.POSITIVE_INFINITY);
    await upload(over(aggregator, transport), randomBytes(4 * 2 ** 20, 3));
    const chunks = sizes.filter(({ method }) => method === 'PUT').map(({ bytes }) => bytes / 2 ** 20);
    expect(chunks).toEqual([0.25, 0.5, 1, 1, 1, 0.25]);
  });

  test('shrink to 16 KiB and no further, and grow again when many have arrived', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    let failures = 8;
    const sizes: number[] = [];
    const { api, retry } = over(aggregator, async (request) => {
      if (request.method !== 'PUT') return aggregator.transport(request);
      sizes.push(request.body.byteLength / 1024);
      if (failures-- > 0) throw broken();
      return aggregator.transport(request);
    });
    await upload({ api, retry }, randomBytes(2 ** 19, 4));
    const arrived = [...Array(8).fill(16), ...Array(8).fill(32), 64, 64];
    expect(sizes).toEqual([256, 128, 64, 32, 16, 16, 16, 16, ...arrived]);
  });

  test('are not made smaller because the aggregator is busy', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    let busy = 3;
    const sizes: number[] = [];
    aggregator.before = ({ method, body }) => {
      if (method !== 'PUT') return;
      sizes.push(body.byteLength);
      if (busy-- > 0) throw new PluralError('STORE_UNAVAILABLE', 'busy');
    };
    await upload(over(aggregator, aggregator.transport), randomBytes(100_000, 5));
    expect(sizes).toEqual([100_000, 100_000, 100_000, 100_000]);
  });
});

describe('an upload', () => {
  test('goes on where an earlier process stopped', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1, chunkBytes: 65_536 });
    const bytes = randomBytes(300_000, 6);
    let left = 2;
    const dying = over(aggregator, async (request) => {
      if (request.method === 'PUT' && left-- === 0) throw new Error('killed');
      return aggregator.transport(request);
    });
    await expect(upload(dying, bytes)).rejects.toThrow('killed');
    const { transport, sizes } = breaking(aggregator, Number.POSITIVE_INFINITY);
    await upload(over(aggregator, transport), bytes);
    const sent = sizes.filter(({ method }) => method === 'PUT').map(({ bytes: count }) => count);
    expect(sent.reduce((sum, count) => sum + count)).toBe(300_000 - 2 * 65_536);
  });

  test('that is there already sends nothing', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    const bytes = randomBytes(1000, 7);
    const { transport, sizes } = breaking(aggregator, Number.POSITIVE_INFINITY);
    const options = over(aggregator, transport);
    await upload(options, bytes);
    await upload(options, bytes);
    expect(sizes.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  });

  test('begins anew when the aggregator has lost or spoiled it, and not for ever', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    const bytes = randomBytes(1000, 8);
    let spoiled = 3;
    aggregator.before = ({ method }) => {
      if (method === 'PUT' && spoiled-- > 0) throw new PluralError('UPLOAD_DIGEST', 'spoiled');
    };
    await upload(over(aggregator, aggregator.transport), bytes);
    spoiled = Number.POSITIVE_INFINITY;
    const other = randomBytes(1000, 9);
    const never = upload(over(aggregator, aggregator.transport), other);
    await expect(never).rejects.toMatchObject({ code: 'UPLOAD_DIGEST' });
  });

  test('that does not get on is given up', async () => {
    const aggregator = new FakeAggregator({ parameters: 1, rounds: 1 });
    aggregator.tamper = ({ path }, content) =>
      path.includes('/uploads') ? { received: 10, size: 1000, complete: false } : content;
    const stuck = upload(over(aggregator, aggregator.transport), randomBytes(1000, 10));
    await expect(stuck).rejects.toMatchObject({ code: 'UPLOAD_RANGE' });
  });
});

describe('a download', () => {
  test('goes on behind the last byte that came', async () => {
    const aggregator = new FakeAggregator({ parameters: 5000, rounds: 1 });
    const asked: string[] = [];
    aggregator.tamper = ({ path }, content) => {
      if (!(content instanceof Uint8Array)) return content;
      asked.push(path.split('?')[1]!);
      return content.subarray(0, 7001);
    };
    const options = over(aggregator, aggregator.transport);
    const model = await downloadModel(options, aggregator.records[0]!, 5000);
    expect(sha256(bytesOf(model))).toBe(aggregator.records[0]!.model);
    expect(asked).toEqual(['offset=0&length=20000', 'offset=7001&length=12999', 'offset=14002&length=5998']);
  });

  test('of other bytes than the record names is refused', async () => {
    const aggregator = new FakeAggregator({ parameters: 50, rounds: 1 });
    const record = { ...aggregator.records[0]!, model: 'e'.repeat(64) };
    const wrong = downloadModel(over(aggregator, aggregator.transport), record, 50);
    await expect(wrong).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
  });
});

test('whatever is lost, repeated or forgotten: the same bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 400_000 }), async (seed, size) => {
      const aggregator = new FakeAggregator({
        parameters: 1 + Math.floor(size / 4),
        rounds: 1,
        chunkBytes: 65_536,
      });
      const bytes = randomBytes(size, seed);
      const random = randomStream(seed, 'link');
      const options = over(aggregator, unreliable(aggregator, random));
      let digest: string | undefined;
      // An aggregator that forgets again and again makes an upload give up; the group then tries again.
      while (digest === undefined) digest = await upload(options, bytes).catch(() => undefined);
      // What the link forgot after the last byte, the submission would find out.
      if (aggregator.has(digest)) expect(aggregator.uploaded(digest).equals(bytes)).toBe(true);
      const { length } = aggregator.models[0]!.parameters;
      const model = await downloadModel(options, aggregator.records[0]!, length);
      expect(sha256(bytesOf(model))).toBe(aggregator.models[0]!.digest);
    }),
    { numRuns: 40 },
  );
});
