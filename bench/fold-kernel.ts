import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../src/core/digest.ts';
import type { BlobStore } from '../src/server/blobs/blob-store.ts';
import { diskBlobs } from '../src/server/blobs/disk.ts';
import { WorkMemory } from '../src/server/work-memory.ts';
import type { Submission } from '../src/wire/stages.ts';
import { viewSubmission } from '../src/wire/submission.ts';
import { sumInClear } from '../test/support/in-clear.ts';
import { median, type Row } from './benchmark.ts';
import { someDelta, updateOf } from './fold-groups.ts';

const UPDATES = 200;
/** Until the engine has compiled everything. */
const WARM_UP = 20;

const STAGES = ['copy', 'read', 'hash', 'decode', 'add', 'screen'] as const;
type Times = Readonly<Record<(typeof STAGES)[number], number[]>>;

/** One update after the other, each through all stages: whatever else the machine does strikes all of them alike. */
async function timesOf(blobs: BlobStore, { bytes, digest }: Submission, parameters: number): Promise<Times> {
  const times: Times = { copy: [], read: [], hash: [], decode: [], add: [], screen: [] };
  const timed = async <Result>(stage: keyof Times, work: () => Result | Promise<Result>): Promise<Result> => {
    const started = performance.now();
    const result = await work();
    times[stage].push(performance.now() - started);
    return result;
  };
  const target = new Uint8Array(bytes.byteLength);
  const memory = new WorkMemory();
  const sum = sumInClear(parameters, 1);
  await blobs.write(digest, bytes, { durable: false });
  for (let index = 0; index < UPDATES; index++) {
    const read = await timed('read', () => blobs.read(digest, memory.take(bytes.byteLength)));
    if (read === null) throw new Error('the blob is gone');
    await timed('hash', () => sha256(read));
    const { update } = await timed('decode', () => viewSubmission(read));
    await timed('copy', () => target.set(update.payload));
    await timed('add', () => sum.add(0, { ...update, group: `group-${index}` }));
    await timed('screen', () => sum.screen(0, update, ''));
  }
  return times;
}

/** The stages of a fold in this process, against copying the update's bytes in memory. */
export async function kernelRows(parameters: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-bench-fold-'));
  try {
    const origin = { round: 1, run: 'bench', model: '0'.repeat(64) };
    const submission = updateOf(someDelta(parameters), 'group-0', origin);
    const times = await timesOf(await diskBlobs(folder), submission, parameters);
    const settled = (stage: keyof Times) => times[stage].slice(WARM_UP);
    const copy = median(settled('copy'));
    const peer = 'copy of the same bytes';
    const row = (name: string, stages: readonly (keyof Times)[]): Row => {
      const value = stages.reduce((sum, stage) => sum + median(settled(stage)), 0);
      const ratios = settled('copy').map(
        (one, index) => stages.reduce((sum, stage) => sum + settled(stage)[index]!, 0) / one,
      );
      return { name, value, unit: 'ms', peer, ratio: median(ratios) };
    };
    return [
      row('fold-vs-memcpy', ['add']),
      row('read, SHA-256, decode and add of one update', ['read', 'hash', 'decode', 'add']),
      row('read of one update', ['read']),
      row('SHA-256 of one update', ['hash']),
      row('decoding of one update', ['decode']),
      row('screening of one update', ['screen']),
      { name: 'copy of the bytes of one update', value: copy, unit: 'ms' },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
