import { type Config, parseConfig } from '../../config/config.ts';
import { mostPoints } from '../../config/sharded-run.ts';
import { plannedPredictor } from '../../config/worker-setup.ts';
import { PluralError } from '../../core/errors.ts';
import { type StagedOptions, stagedOptions } from '../../predictor/staged/options.ts';
import { stagedParts } from '../../predictor/staged/parts.ts';
import type { TaskRows } from '../../sharding/parts/part-session.ts';
import { ADAM_DEFAULTS, type AdamOptions } from '../../training/optimizer.ts';
import type { RunDefinition } from '../../wire/run-definition.ts';

/** What a definition says about the parts of a sharded run's model. */
export interface ShardedPlan {
  readonly config: Config;
  readonly sharding: NonNullable<Config['sharding']>;
  readonly options: StagedOptions;
  readonly featureWidth: number;
  readonly parts: ReturnType<typeof stagedParts>;
  readonly optimizer: AdamOptions;
  readonly most: TaskRows;
  /** Fewest groups of a round: the run's quorum. */
  readonly leastGroups: number;
}

/** Whether the model of a run has keepers. */
export function isSharded({ plan }: RunDefinition): boolean {
  return parseConfig(plan.config).sharding !== null;
}

/** Errors: CONFIG_CONFLICT where the run has no keepers. */
export function shardedPlan({ run, plan }: RunDefinition): ShardedPlan {
  const config = parseConfig(plan.config);
  const { sharding } = config;
  if (sharding === null) {
    throw new PluralError('CONFIG_CONFLICT', `run "${run}" has no keepers: every group has the whole model`, {
      hint: 'A keeper takes part in a run whose configuration says "sharding".',
    });
  }
  const predictor = plannedPredictor(config, plan);
  const options = stagedOptions.parse(predictor.options);
  const questions = plan.survey.questions.map(({ topic, ...question }) => ({
    ...question,
    ...(topic === undefined ? {} : { topic }),
  }));
  return {
    config,
    sharding,
    options,
    featureWidth: plan.features.width,
    parts: stagedParts(predictor.layout, options),
    optimizer: { ...ADAM_DEFAULTS, weightDecay: config.training.weightDecay },
    most: mostPoints(config, questions),
    leastGroups: plan.quorum,
  };
}
