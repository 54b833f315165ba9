import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../src/core/digest.ts';
import { none } from '../src/privacy/none.ts';
import { diskBlobs } from '../src/server/blobs/disk.ts';
import { decodeSubmission } from '../src/wire/submission.ts';
import { median, type Row } from './benchmark.ts';
import { someDelta, updateOf } from './fold-groups.ts';

const UPDATES = 8;
const REPEATS = 40;

/** Milliseconds that some work takes. */
async function timed(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/**
 * The parts of a fold, one after the other on the same update, again and again, so that whatever else the machine does
 * strikes all alike; against copying the update's bytes in memory.
 */
export async function kernelRows(parameters: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-bench-fold-'));
  try {
    const blobs = await diskBlobs(folder);
    const delta = someDelta(parameters);
    const origin = { round: 1, run: 'bench', model: '0'.repeat(64) };
    const updates = Array.from({ length: UPDATES }, (_, index) => updateOf(delta, `group-${index}`, origin));
    for (const { digest, bytes } of updates) await blobs.write(digest, bytes, { durable: false });
    const target = Buffer.alloc(updates[0]!.bytes.byteLength);
    const times = { copy: [] as number[], read: [] as number[], hash: [] as number[] };
    const more = { decode: [] as number[], add: [] as number[], screen: [] as number[] };
    const protection = none.create({});
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const fold = protection.fold(1, parameters);
      for (const { digest } of updates) {
        let bytes = Buffer.alloc(0);
        times.read.push(await timed(async () => (bytes = (await blobs.read(digest))!)));
        times.hash.push(await timed(() => sha256(bytes)));
        let received = decodeSubmission(bytes);
        more.decode.push(await timed(() => (received = decodeSubmission(bytes))));
        times.copy.push(await timed(() => target.set(bytes)));
        more.add.push(await timed(() => fold.add(received.update)));
        more.screen.push(await timed(() => protection.screen(received.update, parameters)));
      }
    }
    const all = { ...times, ...more };
    const ms = (name: keyof typeof all) => median(all[name].slice(UPDATES));
    const peer = 'copy of the same bytes';
    const row = (name: string, value: number): Row => ({
      name,
      value,
      unit: 'ms',
      peer,
      ratio: value / ms('copy'),
    });
    const path = ms('read') + ms('hash') + ms('decode') + ms('add');
    return [
      row('fold-vs-memcpy', ms('add')),
      row('read + SHA-256 + decode + add', path),
      row('read', ms('read')),
      row('SHA-256', ms('hash')),
      row('decode', ms('decode')),
      row('screen', ms('screen')),
      { name: 'copy', value: ms('copy'), unit: 'ms' },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
