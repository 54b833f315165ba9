import { z } from 'zod';
import { formatBytes } from '../core/bytes.ts';
import { isSkippedByStart } from '../round/aggregator.ts';
import {
  type AggregatorState,
  aggregatorStateSchema,
  awaited,
  leastOf,
  neededToBegin,
  repliesNow,
} from '../round/aggregator-state.ts';
import { HOLDS } from '../wire/holds.ts';
import type { Awaited, RunStatus, RunSummary } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import { unknownRun } from './locked-run.ts';
import { scoreSummaries } from './scores.ts';
import { seatedKeepers, shardingIn } from './seat-rows.ts';

/** Refusals that the status shows. */
const MOST_ERRORS = 20;

interface RunRow {
  readonly id: string;
  readonly digest: string;
  readonly state: AggregatorState;
  readonly deadline_at: number | null;
  readonly created_at: number;
}

/** Not the definition: it carries all questions, and anybody may ask. */
const COLUMNS = ['id', 'digest', 'state', 'deadline_at', 'created_at'] as const;

function summaryOf({ id, digest, state, created_at }: RunRow): RunSummary {
  const { phase, round, rounds, quorum, enrolled } = state;
  return { run: id, digest, phase, round, rounds, quorum, groups: enrolled.length, createdAt: created_at };
}

/** All runs, the newest first. */
export async function listRuns({ db }: Aggregator): Promise<RunSummary[]> {
  const rows = await db.selectFrom('runs').select(COLUMNS).orderBy('created_at', 'desc').execute();
  return rows.map((row) => summaryOf({ ...row, state: aggregatorStateSchema.parse(row.state) }));
}

/** What a run waits for, or why it stands. */
/** How a step stands, and when it is over. */
function collectingSentence(state: AggregatorState, missing: number): string {
  const { round, rounds, step, steps, asked } = state;
  const { name, patient } = steps[step]!;
  const what = steps.length === 1 ? 'their update' : `their part of step "${name}"`;
  const least = leastOf(state, step);
  const end =
    patient === true ? `it waits for ${least} as long as it takes` : `${least} are enough at the deadline`;
  return `Round ${round} of ${rounds}: ${repliesNow(state).length} of ${asked.length} groups have sent ${what}; ${missing} awaited, ${end}.`;
}

/** What becomes of a failed round when the run is started again. */
function startDoes(state: AggregatorState): string {
  return isSkippedByStart(state) ? 'skips it and goes on with the next' : 'opens it again';
}

function sentence(state: AggregatorState, missing: number, keepers: string): string {
  const { phase, round, rounds, enrolled } = state;
  switch (phase) {
    case 'waiting':
      return `Waits for groups to join: ${enrolled.length} of the ${neededToBegin(state)} that are needed to start${keepers}.`;
    case 'collecting':
      return collectingSentence(state, missing);
    case 'folding':
      return state.skipped
        ? `Round ${round} of ${rounds} is skipped: the model stays as it was.`
        : `Round ${round} of ${rounds}: all updates are in and are being added.`;
    case 'finished':
      return `Finished after ${rounds} rounds.`;
    case 'failed':
      return `Round ${round} of ${rounds} failed: ${state.failure}. "aggregator start" ${startDoes(state)}.`;
    case 'stopped':
      return `Stopped in round ${round} of ${rounds}.`;
  }
}

interface Progress {
  readonly received: number;
  readonly size: number;
  readonly complete: boolean;
}

function reasonOf(progress: Progress | undefined, lastSeenAt: number | null, askedAt: number | null): string {
  if (progress?.complete === true) return 'has uploaded its update and not yet submitted it';
  if (progress !== undefined) {
    return `is uploading: ${formatBytes(progress.received)} of ${formatBytes(progress.size)}`;
  }
  if (lastSeenAt === null) return 'has not been seen yet';
  if (askedAt !== null && lastSeenAt < askedAt) return 'has not been seen since this step began';
  return 'has seen the round and is at work on it';
}

async function awaitedOf(
  { db }: Aggregator,
  { id, state, deadline_at }: RunRow,
  deadlineMs: number,
  lastSeen: ReadonlyMap<string, number | null>,
): Promise<Awaited[]> {
  const uploads = await db
    .selectFrom('uploads')
    .select(['group_id', 'received', 'size', 'complete'])
    .where('run', '=', id)
    .orderBy('touched_at')
    .execute();
  const progress = new Map(uploads.map((upload) => [upload.group_id, upload]));
  const askedAt = deadline_at === null ? null : deadline_at - deadlineMs;
  return awaited(state).map((group) => {
    const own = progress.get(group);
    const lastSeenAt = lastSeen.get(group) ?? null;
    return {
      group,
      why: reasonOf(own, lastSeenAt, askedAt),
      lastSeenAt,
      uploadedBytes: own?.received ?? 0,
      uploadBytes: own?.size ?? null,
    };
  });
}

async function historyOf({ db }: Aggregator, run: string): Promise<RunStatus['history']> {
  const rows = await db
    .selectFrom('models')
    .select(['round', 'record', 'uploaded_bytes', 'published_at'])
    .where('run', '=', run)
    .orderBy('round')
    .execute();
  return rows.map(({ round, record, uploaded_bytes, published_at }) => ({
    round,
    model: record.model,
    updates: record.updates,
    uploadedBytes: uploaded_bytes,
    publishedAt: published_at,
  }));
}

async function errorsOf({ db }: Aggregator, run: string): Promise<RunStatus['errors']> {
  const rows = await db
    .selectFrom('events')
    .select(['at', 'data'])
    .where('run', '=', run)
    .where('type', '=', 'refused')
    .orderBy('seq', 'desc')
    .limit(MOST_ERRORS)
    .execute();
  return rows.map(({ at, data }) => ({
    at,
    code: String(data['code']),
    message: String(data['message']),
    group: typeof data['group'] === 'string' ? data['group'] : null,
  }));
}

/** Who has a stage, and whether it keeps it; `keeping`: who keeps each, null before the run knows. */
async function keepersOf(
  { db }: Aggregator,
  run: string,
  keeping: readonly string[] | null,
): Promise<RunStatus['keepers']> {
  const rows = await seatedKeepers(db, run);
  const first = (stage: number) => rows.find((row) => row.stage === stage)?.public_key;
  return rows
    .map(({ public_key: publicKey, stage, last_seen_at: lastSeenAt }) => ({
      ...{ publicKey, stage, lastSeenAt },
      keeps: (keeping?.[stage] ?? first(stage)) === publicKey,
    }))
    .sort((a, b) => a.stage - b.stage || Number(b.keeps) - Number(a.keeps));
}

/** Behind the sentence of a run that waits: how many of its keepers are there; nothing where it needs none. */
function keepersNeeded(config: Readonly<Record<string, unknown>>, there: number): string {
  if (config['sharding'] == null) return '';
  const sharding = shardingIn(config);
  return sharding === null
    ? ''
    : `, and ${there} of ${sharding.stages + sharding.standbys} keepers are there`;
}

/** Everything that is told of a run. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function statusOf(aggregator: Aggregator, run: string): Promise<RunStatus> {
  const { db } = aggregator;
  const found = await db
    .selectFrom('runs')
    .select([...COLUMNS, 'crew'])
    .select(({ ref }) => [
      ref('definition', '->').key('plan').key('config').as('config'),
      ref('definition', '->').key('plan').key('parameters').as('parameters'),
      ref('definition', '->').key('plan').key('deadlineMs').as('deadlineMs'),
    ])
    .where('id', '=', run)
    .executeTakeFirst();
  if (found === undefined) throw unknownRun(run);
  const { config, parameters, deadlineMs, crew } = found;
  const row: RunRow = { ...found, state: aggregatorStateSchema.parse(found.state) };
  const { state, deadline_at } = row;
  const seen = await db
    .selectFrom('members')
    .select(['group_id', 'last_seen_at'])
    .where('run', '=', run)
    .execute();
  const lastSeen = new Map(seen.map(({ group_id, last_seen_at }) => [group_id, last_seen_at]));
  const missing = await awaitedOf(aggregator, row, deadlineMs, lastSeen);
  const keepers = await keepersOf(aggregator, run, crew?.keeping ?? null);
  return {
    ...summaryOf(row),
    summary: sentence(state, missing.length, keepersNeeded(config, keepers.length)),
    step: state.phase === 'collecting' ? (state.steps[state.step]?.name ?? null) : null,
    replied: repliesNow(state).length,
    asked: state.asked.length,
    awaited: missing,
    deadlineAt: deadline_at,
    failure: state.failure,
    parameters,
    protection: nameOf(config['protection']),
    holds: heldIn(config['aggregator']),
    strategy: nameOf(config['strategy']),
    keepers,
    members: state.enrolled.map((group) => ({ group, lastSeenAt: lastSeen.get(group) ?? null })),
    history: await historyOf(aggregator, run),
    scores: await scoreSummaries(db, run),
    errors: await errorsOf(aggregator, run),
  };
}

const heldSchema = z.object({ holds: z.enum(HOLDS) }).catch({ holds: 'clear' });

/** What the aggregator holds by its section of a configuration; clear in a run that was made before there was a choice. */
function heldIn(section: unknown): RunStatus['holds'] {
  return heldSchema.parse(section).holds;
}

/** Name of a plug-in section of a configuration. */
function nameOf(section: unknown): string {
  const named = typeof section === 'object' && section !== null && 'name' in section;
  return named ? String(section.name) : 'unknown';
}
