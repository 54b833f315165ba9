import type { Survey } from '../data/survey.ts';
import type { LocalOptions } from './local-setup.ts';
import { type LocalWork, openLocalWork } from './local-training.ts';
import { openTrusteeWork } from './trustee-work.ts';

/** A part in a run: of a group with answers, or of somebody without. */
export type WorkOptions = Omit<LocalOptions, 'answers'> & { readonly answers: Survey | null };

/** Errors: those of `openLocalWork`; without answers those of `openTrusteeWork`. */
export async function openWork({ answers, ...options }: WorkOptions): Promise<LocalWork> {
  if (answers !== null) return openLocalWork({ ...options, answers });
  return openTrusteeWork(options.definition, options.group);
}
