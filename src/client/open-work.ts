import type { Survey } from '../data/survey.ts';
import type { LocalOptions } from './local-setup.ts';
import { type LocalWork, openLocalWork } from './local-training.ts';
import type { ShardedMeans } from './sharding/means.ts';
import { openTrusteeWork } from './trustee-work.ts';

/** A part in a run: of a group with answers, or of somebody without. */
export type WorkOptions = Omit<LocalOptions, 'answers'> & { readonly answers: Survey | null };

/** `means`: as of `openLocalWork`. Errors: those of `openLocalWork`; without answers those of `openTrusteeWork`. */
export async function openWork(
  { answers, ...options }: WorkOptions,
  means: ShardedMeans | null = null,
): Promise<LocalWork> {
  if (answers !== null) return openLocalWork({ ...options, answers }, means);
  return openTrusteeWork(options.definition, options.group);
}
