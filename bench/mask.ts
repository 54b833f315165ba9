import { createCipheriv } from 'node:crypto';
import { randomStream } from '../src/core/random.ts';
import { planGraph } from '../src/privacy/mask/graph.ts';
import { STEP } from '../src/privacy/mask/messages.ts';
import { maskOptions } from '../src/privacy/mask/settings.ts';
import { mask } from '../src/privacy/mask.ts';
import { addMask } from '../src/privacy/secure-sum/expand.ts';
import type { ProtectedUpdate } from '../src/wire/stages.ts';
import { encodeSubmission } from '../src/wire/submission.ts';
import { contextOf, ProtectedRound, SHAPE, updateOf } from '../test/support/protected-round.ts';
import { type Benchmark, median, type Row } from './benchmark.ts';

const PARAMETERS = 1_000_000;
const GROUPS = 100;
const LOST = 10;
const OPTIONS = maskOptions.parse({});

/** Processor time of this process in seconds, of all its threads. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

interface Spent {
  /** By group: all of its replies together. */
  readonly client: Map<string, number>;
  server: number;
}

/** A round in which some groups are lost after they shared their secrets, with the time that each side takes. */
function playTimed(spent: Spent): { uploadBytes: number; groups: number } {
  const protection = mask.create(OPTIONS, SHAPE);
  const random = randomStream(1, 'bench mask');
  const delta = Float32Array.from({ length: PARAMETERS }, () => random.normal() / 4);
  const updates = Array.from({ length: GROUPS }, (_, index) =>
    updateOf(`group-${String(index).padStart(3, '0')}`, 1 + (index % 100), delta, { score: 0.5 }),
  );
  const context = contextOf(PARAMETERS);
  const lost = updates.slice(0, LOST).map(({ group }) => group);
  const round = new ProtectedRound({
    protection,
    updates,
    context,
    silentBefore: new Map([[STEP.upload, lost]]),
  });
  let uploadBytes = 0;
  const timed = <Result>(work: () => Result, add: (seconds: number) => void): Result => {
    const before = cpuSeconds();
    const result = work();
    add(cpuSeconds() - before);
    return result;
  };
  const atServer = <Result>(work: () => Result) =>
    timed(work, (seconds) => {
      spent.server += seconds;
    });
  // The round does not keep what it is given: a hundred masked vectors at once are not what is measured.
  round.watch = {
    client: (group, work) =>
      timed(work, (seconds) => spent.client.set(group, (spent.client.get(group) ?? 0) + seconds)),
    server: atServer,
    reply: (step: number, reply: ProtectedUpdate) => {
      if (step !== STEP.upload) return;
      uploadBytes = encodeSubmission(reply, { run: context.run, model: context.model, step }).bytes
        .byteLength;
    },
  };
  for (const step of protection.steps.keys()) round.playStep(step);
  const { groups } = atServer(() => round.collection.finish());
  return { uploadBytes, groups: groups.length };
}

/** The expansion of a mask against the cipher and the addition alone, one after the other. */
function expansion(): Row {
  const sum = new Uint32Array(PARAMETERS);
  const zeros = new Uint8Array(4 * PARAMETERS);
  const key = new Uint8Array(32).fill(3);
  const bare = () => {
    const stream = createCipheriv('aes-256-ctr', key, new Uint8Array(16)).update(zeros);
    const words = new Uint32Array(stream.buffer, stream.byteOffset, PARAMETERS);
    for (let i = 0; i < sum.length; i++) sum[i]! += words[i]!;
  };
  const times = { ours: [] as number[], bare: [] as number[] };
  const clock = (list: number[], work: () => void) => {
    const started = performance.now();
    work();
    list.push(performance.now() - started);
  };
  for (let turn = 0; turn < 60; turn++) {
    clock(times.ours, () => addMask(sum, key, 1));
    clock(times.bare, bare);
  }
  const [ours, alone] = [median(times.ours.slice(10)), median(times.bare.slice(10))];
  return {
    name: 'expand-vs-bare-cipher',
    value: ours,
    unit: 'ms',
    peer: 'cipher and addition alone',
    ratio: ours / alone,
  };
}

/** One masked round of 100 groups over a million parameters, of which 10 are lost after they shared their secrets. */
export const maskBenchmark: Benchmark = {
  name: 'mask',
  describe: 'secure aggregation: time of a group and of the aggregator, size of an upload, mask expansion',
  run: async () => {
    const spent: Spent = { client: new Map(), server: 0 };
    const { uploadBytes, groups } = playTimed(spent);
    const whole = [...spent.client.values()].slice(LOST);
    const { degree, threshold } = planGraph(GROUPS, OPTIONS);
    return [
      { name: 'client-cpu-seconds', value: median(whole), unit: 's' },
      { name: 'server-cpu-seconds', value: spent.server, unit: 's' },
      { name: 'upload-bytes-per-parameter', value: uploadBytes / PARAMETERS, unit: 'B' },
      expansion(),
      { name: 'groups in the sum', value: groups, unit: 'groups' },
      { name: 'neighbours of a group', value: degree, unit: 'groups' },
      { name: 'threshold', value: threshold, unit: 'shares' },
    ];
  },
};
