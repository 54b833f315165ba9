import { join } from 'node:path';
import { parseConfig } from '../src/config/config.ts';
import { writeSurvey } from '../src/data/survey-folder.ts';
import { runExperiment } from '../src/simulate/run.ts';
import { syntheticSurvey } from './synthetic-survey.ts';

/** One run in a process of its own, so that its peak memory is its own: `memory-child.ts <folder> <groups>`. */
const [folder = '', count = '20'] = process.argv.slice(2);
const groups = Number(count);
const UNSEEN = 5;

const survey = join(folder, `survey-${groups}`);
writeSurvey(survey, syntheticSurvey(groups, 57, 4));
const config = parseConfig({
  name: 'memory',
  data: { survey, groups: { training: groups - UNSEEN, unseen: UNSEEN } },
  protection: { name: 'none' },
  // The paper's predictor: an update has 0.7 million parameters, so that one kept per group would show.
  predictor: { name: 'gpo' },
  training: { rounds: 2, localSteps: 1 },
  evaluation: { every: 2, contextQuestions: 10, draws: 1 },
  compare: ['centralised', 'local-only', 'group-mean'],
  runtime: { workers: 2 },
});
const { record } = await runExperiment(config, {
  folder: join(folder, `run-${groups}`),
  resume: false,
  emit: () => {},
});
const peakKiB = process.resourceUsage().maxRSS;
process.stdout.write(`${JSON.stringify({ peakKiB, parameters: record.predictor.parameters })}\n`);
