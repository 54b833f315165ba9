import type { Config } from '../config/config.ts';
import { roundGroups } from '../config/round-groups.ts';
import { roundsLayout } from '../config/sharded-run.ts';
import { asStorable } from '../training/checkpoint.ts';
import { type RunPlan, runPlanSchema } from '../wire/run-definition.ts';
import { type Experiment, pluginsOf } from './experiment.ts';

/** A configuration as everybody may see it: nothing of it says where files lie, or how many workers somebody has. */
function sharedConfig(config: Config, surveyName: string): Record<string, unknown> {
  const { runtime: _runtime, output: _output, data, ...rest } = config;
  const { groups, splitSeed, heldOutQuestions } = data;
  return { ...rest, data: { survey: surveyName, groups, splitSeed, heldOutQuestions } };
}

/**
 * The plan of a deployed run with the numbers of an experiment: the same configuration and questions, and nobody's
 * answers. A run of it with the experiment's training groups gives the model bytes of the simulated run.
 */
export function planOf(experiment: Experiment): RunPlan {
  const { config, survey, features, predictor, heldOutQuestions } = experiment;
  const { protection } = pluginsOf(experiment);
  const { provider, width, digest } = features;
  const plan: RunPlan = {
    config: sharedConfig(config, survey.name),
    survey: {
      name: survey.name,
      questions: survey.questions.map(({ id, text, options, topic }) => ({
        id,
        text,
        options: [...options],
        ...(topic === undefined ? {} : { topic }),
      })),
      heldOutQuestions: heldOutQuestions.map((index) => survey.questions[index]!.id),
    },
    features: { provider, width, digest },
    parameters: roundsLayout(config, predictor.layout).size,
    quorum: config.round.quorum ?? roundGroups(config, protection),
    deadlineMs: Math.round(1000 * config.round.deadlineSeconds),
  };
  // Through JSON, as it travels: what cannot travel shows here.
  return runPlanSchema.parse(asStorable(plan));
}
