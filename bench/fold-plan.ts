import { parseConfig } from '../src/config/config.ts';
import { predictorOf } from '../src/config/worker-setup.ts';
import { loadSurvey } from '../src/data/shipped.ts';
import type { RunPlan } from '../src/wire/run-definition.ts';

/** Length of the published question-and-option vectors. */
const FEATURE_WIDTH = 4096;
const SURVEY = 'nonvoters';

/** A run of the published predictor: 1,188,354 parameters, so that an update has 4.75 MB. */
export function foldPlan(groups: number, rounds: number): RunPlan {
  const config = {
    data: { survey: SURVEY, groups: { training: groups, unseen: 1 } },
    protection: { name: 'none' },
    predictor: { name: 'gpo', width: 128, layers: 6, heads: 4, feedforward: 128 },
    training: { rounds },
    compare: [],
  };
  const questions = loadSurvey(SURVEY).questions.map(({ id, text, options }) => ({
    id,
    text,
    options: [...options],
  }));
  return {
    config,
    survey: { name: SURVEY, questions, heldOutQuestions: [] },
    // Nobody computes features here: the groups of this benchmark make up their updates.
    features: { provider: 'lexical', width: FEATURE_WIDTH, digest: '0'.repeat(64) },
    parameters: predictorOf(parseConfig(config), { featureWidth: FEATURE_WIDTH, rows: 0 }).layout.size,
    quorum: groups,
    deadlineMs: 3_600_000,
  };
}
