import type { Survey } from '../data/survey.ts';
import type { ParameterLayout } from '../predictor/layout.ts';
import { stagedOptions } from '../predictor/staged/options.ts';
import { outerLayout } from '../predictor/staged/parts.ts';
import { MOST_TARGET_POINTS } from '../training/tasks.ts';
import type { Config } from './config.ts';
import { optionsOf } from './round-plugins.ts';

/** The layout of the vector that the rounds average: of a sharded run it is that of front and head. */
export function roundsLayout(config: Config, whole: ParameterLayout): ParameterLayout {
  return config.sharding === null
    ? whole
    : outerLayout(whole, stagedOptions.parse(optionsOf(config.predictor)));
}

/** Most questions that a task of a sharded run tells. */
export function mostTold({ training, evaluation }: Config): number {
  return Math.max(training.contextQuestions[1], evaluation.contextQuestions);
}

/** Most points of a task of a sharded run: of training, and of a pass of predictions. */
export function mostPoints(config: Config, questions: Survey['questions']) {
  const options = Math.max(...questions.map((question) => question.options.length));
  const asked = Math.max(config.training.targetQuestions[1] * options, MOST_TARGET_POINTS + options);
  return { context: mostTold(config) * options, target: asked };
}

/** How many keepers a deployed run waits for: one for each stage, and those who stand by; none without sharding. */
export function keepersOf({ sharding, predictor }: Config): number {
  if (sharding === null) return 0;
  return stagedOptions.parse(optionsOf(predictor)).stages + sharding.standbys;
}
