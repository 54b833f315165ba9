/**
 * The public interface of pluralllm as a library. Everything else is internal and may change.
 */
export { type Config, configDigest, parseConfig } from './config/config.ts';
export { loadConfig } from './config/load.ts';
export { ERROR_CODES, type ErrorCode, exitCodeOf, PluralError } from './core/errors.ts';
export { importSurvey } from './data/import.ts';
export { listShipped, loadSurvey } from './data/shipped.ts';
export type { Answer, Group, Question, Survey } from './data/survey.ts';
export { readSurvey, writeSurvey } from './data/survey-folder.ts';
export { alignmentScore, jensenShannonDistance } from './evaluate/alignment.ts';
export type { Evaluation, GroupScore, SplitName, Summary } from './evaluate/evaluation.ts';
export type { MethodRecord, RunRecord } from './report/record.ts';
export { readRecord } from './report/write.ts';
export type { Emit, RunEvent } from './simulate/events.ts';
export {
  contextFromFile,
  contextFromSurvey,
  type GroupContext,
  type PredictedAnswer,
  predictGroup,
} from './simulate/predict-group.ts';
export { type RunOptions, type RunOutcome, runExperiment } from './simulate/run.ts';
export { evaluateRun, openTrainedRun, type TrainedRun } from './simulate/trained-run.ts';
