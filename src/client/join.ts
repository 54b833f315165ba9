import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { PluralError } from '../core/errors.ts';
import type { Protection } from '../privacy/protection.ts';
import type { JoinAnswer } from '../wire/http.ts';
import type { Invitation } from '../wire/invitation.ts';
import { groupIdSchema, runDigest } from '../wire/run-definition.ts';
import type { AggregatorApi } from './api.ts';
import { isCode } from './failures.ts';
import type { Membership } from './group-record.ts';
import type { GroupHome } from './home.ts';
import { openWork, type WorkOptions } from './open-work.ts';
import { readersKeyFor } from './readers-key.ts';
import { takeGroupSeat } from './sharding/seats.ts';
import { isSharded } from './sharding/sharded-plan.ts';

/** Where requests stay on this machine. */
function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]') return true;
  return isIPv4(hostname) && hostname.startsWith('127.');
}

/** Errors: CONFIG_CONFLICT for an address without TLS on another machine. */
export function checkAddress(url: string, insecureHttp: boolean): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || isLoopback(hostname) || insecureHttp) return;
  throw new PluralError('CONFIG_CONFLICT', `${url} has no TLS: anybody on the way could read what is sent`, {
    hint: 'Ask for an https address, or say --insecure-http if the network itself is protected.',
  });
}

/** The group's name in the run: what the invitation fixes, what was asked for, or what the answers say. */
export function nameIn(invitation: Invitation, asked: string | undefined, own: string | null): string {
  const { group: fixed } = invitation;
  if (fixed !== null && asked !== undefined && asked !== fixed) {
    throw new PluralError('CONFIG_CONFLICT', `the invitation is for group "${fixed}", not "${asked}"`, {
      hint: 'Leave --group out.',
    });
  }
  const name = fixed ?? asked ?? own;
  if (name === null) {
    throw new PluralError('USAGE', 'neither the invitation nor this folder says what the member is called', {
      hint: 'Say --name, as the configuration of the run has it.',
    });
  }
  const parsed = groupIdSchema.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new PluralError('CONFIG_INVALID', `"${name}" cannot be a group's name in a run`, {
    hint: 'Choose another with --group ID: at most 256 characters, no control characters.',
  });
}

export interface JoinOptions {
  readonly home: GroupHome;
  readonly invitation: Invitation;
  readonly api: AggregatorApi;
  /** The group's name in the run. */
  readonly group: string;
  /** Certificates in PEM. */
  readonly ca: string | null;
  readonly featuresPath: string | null;
  readonly peers: Membership['peers'];
  /** Keys of the keepers that it accepts in a sharded run; null or left out: any. */
  readonly keepers?: Membership['keepers'];
  readonly leastGroups: number;
  /** What the groups share where the aggregator holds ciphertext; null or left out: the one that the folder joined with before. */
  readonly readersKey?: Uint8Array | null;
  /** Joins a run whose configuration names who opens the sums. */
  readonly acceptCommittee?: boolean;
  /** Joins a run without noise although the group has a privacy budget. */
  readonly withoutNoise?: boolean;
  /** Told how the run protects what the group sends. */
  readonly onProtection?: (protection: Protection) => void;
  readonly warn: (message: string) => void;
}

function checkAnswer({ digest, definition }: JoinAnswer, { run }: Invitation): void {
  if (runDigest(definition) === digest && definition.run === run) return;
  throw new PluralError(
    'AGGREGATOR_UNTRUSTED',
    `the definition of run "${run}" is not what its digest says`,
    {
      hint: 'The group did not join. Ask the people who run the aggregator.',
    },
  );
}

/** A group that keeps count of what it spends joins no run in which that has no bound, unless it says so. */
function checkBudget({ home, withoutNoise = false }: JoinOptions, { guarantee, name }: Protection): void {
  if (guarantee !== null || withoutNoise || home.loadLedger() === null) return;
  throw new PluralError(
    'PRIVACY_BUDGET_SPENT',
    `this group has a privacy budget, and in this run protection "${name}" adds no noise: nothing bounds what it tells of the group`,
    { hint: 'Ask for a run with protection.differentialPrivacy, or join all the same with --without-noise.' },
  );
}

/** Those whom the configuration names could read this group's updates, together with the aggregator: it must know and agree. */
function checkCustody({ acceptCommittee = false }: JoinOptions, { custody }: Protection): void {
  if (custody === null || acceptCommittee) return;
  const { members, threshold } = custody;
  const who = threshold === 1 ? `"${members.join('", "')}"` : `${threshold} of "${members.join('", "')}"`;
  throw new PluralError(
    'CONFIG_CONFLICT',
    `the configuration of this run names who opens the sums: ${who}, together with the aggregator, could read every update`,
    { hint: 'If you trust them not to do that, join with --accept-committee.' },
  );
}

/** Whether this group can do its part, and what it reads models with. If not, it is taken off the list again, so that nobody waits for it. */
async function checkWork(
  api: AggregatorApi,
  options: WorkOptions,
  joining: JoinOptions,
): Promise<Uint8Array | null> {
  try {
    const work = await openWork(options);
    await work.close();
    checkBudget(joining, work.protection);
    checkCustody(joining, work.protection);
    const { home, readersKey: given = null } = joining;
    const readersKey = readersKeyFor(options.definition, work.protection, given ?? home.readersKey());
    joining.onProtection?.(work.protection);
    return readersKey;
  } catch (thrown) {
    await api.leave().catch(() => undefined);
    throw thrown;
  }
}

/** Takes a seat in a sharded run; a group that gets none is no member. What passes by itself leaves a membership with which to try again. */
async function takeSeatOrLeave({ api, home }: JoinOptions, run: string): Promise<void> {
  try {
    await takeGroupSeat(api, home, run);
  } catch (thrown) {
    if (!isCode(thrown, ['RUN_FULL', 'STAGE_TAKEN'])) throw thrown;
    await api.leave().catch(() => undefined);
    home.forget();
    throw thrown;
  }
}

/**
 * Joins a run: checks the aggregator, its definition, and that this group can do its part; then stores the membership.
 * Joining twice is harmless. Errors: those of the aggregator (INVITATION_INVALID, GROUP_TAKEN, KEY_UNKNOWN, ...),
 * AGGREGATOR_UNTRUSTED, RUN_FULL for a sharded run that has begun, CONFIG_CONFLICT for a committee that is named and not accepted and for a readers' key that is missing, another, or of no use, PRIVACY_BUDGET_SPENT for a group with a budget in a run without noise, and those of `openLocalWork`.
 */
export async function joinRun(options: JoinOptions): Promise<Membership> {
  const { home, invitation, api, group, ca, warn, peers, keepers = null, leastGroups } = options;
  const featuresPath = options.featuresPath === null ? null : resolve(options.featuresPath);
  const answers = home.answersOrNull();
  const { url, run, aggregatorKey, token } = invitation;
  await api.info();
  const answer = await api.join({ group, token });
  checkAnswer(answer, invitation);
  const { definition } = answer;
  const local = { definition, group: answer.group, answers, featuresPath, device: 'auto', warn };
  const readersKey = await checkWork(api, local, options);
  const membership: Membership = {
    format: 1,
    url,
    run,
    aggregatorKey,
    group: answer.group,
    ca,
    featuresPath,
    peers,
    keepers,
    leastGroups,
    definition,
  };
  home.join(membership, readersKey);
  if (isSharded(definition)) await takeSeatOrLeave(options, runDigest(definition));
  return membership;
}
