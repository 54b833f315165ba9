import type { Baseline } from './baseline.ts';
import { groupMeanBaseline } from './group-mean.ts';
import { similarityMeanBaseline } from './similarity-mean.ts';
import { uniformBaseline } from './uniform.ts';

/** Every baseline, in the order of the report. To add one: write its file and add it here. */
export const BASELINES: readonly Baseline[] = [uniformBaseline, groupMeanBaseline, similarityMeanBaseline];
