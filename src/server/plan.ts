import { type Config, parseConfig } from '../config/config.ts';
import { roundPlugins } from '../config/round-plugins.ts';
import { roundsLayout } from '../config/sharded-run.ts';
import { plannedPredictor } from '../config/worker-setup.ts';
import { PluralError } from '../core/errors.ts';
import type { ParameterLayout } from '../predictor/layout.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import type { Protection } from '../privacy/protection.ts';
import type { Strategy } from '../strategy/strategy.ts';
import type { RunPlan } from '../wire/run-definition.ts';
import { MOST_SUBMISSION_BYTES } from '../wire/submission.ts';

/** A plan with its plug-ins: what the aggregator itself needs of a configuration. */
export interface OpenPlan {
  readonly config: Config;
  readonly predictor: TrainablePredictor;
  /** Layout of the vector that the rounds average. */
  readonly layout: ParameterLayout;
  readonly strategy: Strategy;
  readonly protection: Protection;
}

/**
 * Opens the plan of a run. Errors: those of `parseConfig`; CONFIG_CONFLICT where the predictor has another size than the
 * plan says, the quorum is too small for the protection, or the aggregator is to hold ciphertext and no readers' key is named.
 */
export function openPlan(plan: RunPlan): OpenPlan {
  const config = parseConfig(plan.config);
  const { questions, heldOutQuestions } = plan.survey;
  const predictor = plannedPredictor(config, plan);
  const layout = roundsLayout(config, predictor.layout);
  const { strategy, protection } = roundPlugins(config, questions.length - heldOutQuestions.length, layout);
  if (layout.size !== plan.parameters) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `the plan says ${plan.parameters} parameters, its predictor has ${layout.size}`,
      { hint: 'The command line and the aggregator run different versions.' },
    );
  }
  const { least } = protection.groups;
  if (plan.quorum < least) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `the plan says a quorum of ${plan.quorum}, protection "${protection.name}" needs at least ${least} groups`,
      { hint: 'Raise round.quorum.' },
    );
  }
  if (config.sharding !== null && protection.trustees.length > 0) {
    throw new PluralError('CONFIG_CONFLICT', 'sharding: who has no answers trains no front and no head', {
      hint: 'Leave protection.committee.trustees out.',
    });
  }
  const { holds, readers } = config.aggregator;
  if (holds === 'ciphertext' && readers === null) {
    throw new PluralError('CONFIG_CONFLICT', "the plan does not say whose readers' key opens its sums", {
      hint: 'A group makes the key with "pluralllm group readers-key"; set aggregator.readers to the fingerprint that it prints.',
    });
  }
  return { config, predictor, layout, strategy, protection };
}

/** Longest submission that a run can need: far above any encoding of its parameters, far below what would fill a disk. */
export function mostUploadBytes({
  layout,
  protection,
}: {
  readonly layout: { readonly size: number };
  readonly protection: Pick<Protection, 'replyBytes'>;
}): number {
  return Math.min(MOST_SUBMISSION_BYTES, 65_536 + Math.max(16 * layout.size, protection.replyBytes));
}

const MOST_OPEN = 16;

/** The definitions of runs never change, so an opened plan is kept; the longest unused goes first. */
export class PlanCache {
  readonly #plans = new Map<string, OpenPlan>();

  get(digest: string, plan: RunPlan): OpenPlan {
    return this.known(digest) ?? this.#keep(digest, openPlan(plan));
  }

  /** Undefined where it is not kept: then its definition, which can be large, is to be read. */
  known(digest: string): OpenPlan | undefined {
    const plan = this.#plans.get(digest);
    return plan === undefined ? undefined : this.#keep(digest, plan);
  }

  #keep(digest: string, plan: OpenPlan): OpenPlan {
    this.#plans.delete(digest);
    this.#plans.set(digest, plan);
    const [oldest] = this.#plans.keys();
    if (this.#plans.size > MOST_OPEN && oldest !== undefined) this.#plans.delete(oldest);
    return plan;
  }
}
