import { createHash } from 'node:crypto';
import { type RunStatus, runStatusSchema } from '../../src/wire/http.ts';

/** A digest that is none of anything, but looks like one. */
export function digestLike(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Names that a careful page shows as they are. */
export const HOSTILE_NAME = '<img src=x onerror="globalThis.broken=true">';
const NAMES = [
  'Independent · White, 35–64',
  'Democrat · Black, 18–34',
  'Republican · White, 65 and over',
  'Kommune Tromsø',
  'جماعة الرباط',
];

const UPDATE_BYTES = 348_936;
const MINUTE_MS = 60_000;

export interface StatusOptions {
  readonly run?: string;
  /** The round under way. */
  readonly round?: number;
  readonly rounds?: number;
  readonly groups?: number;
  readonly awaited?: number;
  readonly names?: readonly string[];
  readonly nowMs?: number;
}

function groupNames({ groups = 14, names = NAMES }: StatusOptions): string[] {
  const more = Array.from({ length: groups }, (_, i) => `Group ${String(i + 1).padStart(4, '0')}`);
  return [...names, ...more].slice(0, groups);
}

function scoresOf(published: number, groups: number): RunStatus['scores'] {
  return Array.from({ length: published + 1 }, (_, round) => {
    const gain = 1 - Math.exp(-round / 9);
    const wobble = 0.004 * Math.sin(round * 2.1);
    return {
      round,
      groups,
      mean: 0.742 + 0.13 * gain + wobble,
      worst: 0.668 + 0.15 * gain + 2 * wobble,
      coefficientOfVariation: 0.06 - 0.02 * gain,
      fairnessIndex: 0.9964 + 0.0019 * gain + wobble / 40,
      loss: round === 0 ? null : 0.62 - 0.31 * gain - wobble,
    };
  });
}

function historyOf(run: string, published: number, groups: number, nowMs: number): RunStatus['history'] {
  return Array.from({ length: published + 1 }, (_, round) => {
    const updates = round === 0 ? 0 : Math.max(1, groups - ((round * 7) % 4));
    const publishedAt = nowMs - (published - round) * 3 * MINUTE_MS - 84_000;
    return {
      round,
      model: digestLike(`${run} ${round}`),
      updates,
      uploadedBytes: updates * UPDATE_BYTES,
      publishedAt,
    };
  });
}

function awaitedOf(names: readonly string[], count: number, nowMs: number): RunStatus['awaited'] {
  const kinds = [
    {
      why: 'is sending its update',
      lastSeenAt: nowMs - 2000,
      uploadedBytes: 212_992,
      uploadBytes: UPDATE_BYTES,
    },
    { why: 'took the task and trains', lastSeenAt: nowMs - 75_000, uploadedBytes: 0, uploadBytes: null },
    {
      why: 'has not asked for the task of this round',
      lastSeenAt: null,
      uploadedBytes: 0,
      uploadBytes: null,
    },
  ];
  return names.slice(0, count).map((group, i) => ({ group, ...kinds[i % kinds.length]! }));
}

/** A run in the middle of collecting, as the aggregator would state it. */
export function statusFixture(options: StatusOptions = {}): RunStatus {
  const { run = 'nonvoters-quickstart', round = 12, rounds = 40, nowMs = Date.now() } = options;
  const names = groupNames(options);
  const awaited = awaitedOf(names, options.awaited ?? 3, nowMs);
  const [asked, published] = [names.length, round - 1];
  const replied = asked - awaited.length;
  return runStatusSchema.parse({
    run,
    digest: digestLike(run),
    phase: 'collecting',
    round,
    rounds,
    quorum: Math.min(10, asked),
    groups: asked,
    createdAt: nowMs - 52 * MINUTE_MS,
    summary: `Round ${round} of ${rounds} has ${replied} of ${asked} updates and waits for ${awaited.length} groups.`,
    step: 'update',
    replied,
    asked,
    awaited,
    deadlineAt: nowMs + 4 * MINUTE_MS + 12_000,
    failure: null,
    parameters: 87_234,
    protection: 'none',
    holds: 'clear',
    strategy: 'fedavg',
    members: names.map((group, i) => ({ group, lastSeenAt: i === 2 ? null : nowMs - i * 37_000 })),
    history: historyOf(run, published, asked, nowMs),
    scores: scoresOf(published, asked),
    errors: errorsOf(names, nowMs),
  });
}

function errorsOf(names: readonly string[], nowMs: number): RunStatus['errors'] {
  const message = 'the update was made for round 10, the run is in round 11';
  return [
    { at: nowMs - 11 * MINUTE_MS, code: 'UPDATE_OF_ANOTHER_ROUND', message, group: names[1] ?? null },
    {
      at: nowMs - 3 * MINUTE_MS,
      code: 'SIGNATURE_INVALID',
      message: 'the signature does not fit the request',
      group: null,
    },
  ];
}
