import { parseConfig } from '../config/config.ts';
import { roundPlugins } from '../config/round-plugins.ts';
import { roundsLayout } from '../config/sharded-run.ts';
import { plannedPredictor } from '../config/worker-setup.ts';
import { PluralError } from '../core/errors.ts';
import type { Protection } from '../privacy/protection.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { emptyUpdate } from '../training/make-update.ts';
import type { RunDefinition } from '../wire/run-definition.ts';
import type { Model } from '../wire/stages.ts';
import type { LocalWork } from './local-training.ts';
import type { Opening } from './trainer.ts';

/** Protection and strategy of a run, as its definition has them. Errors: those of `parseConfig`. */
function pluginsOf({ plan }: RunDefinition) {
  const { survey } = plan;
  const config = parseConfig(plan.config);
  const questions = survey.questions.length - survey.heldOutQuestions.length;
  return roundPlugins(config, questions, roundsLayout(config, plannedPredictor(config, plan).layout));
}

/** The work of who takes part without answers: an update of zeros, without weight. */
class TrusteeWork implements LocalWork {
  readonly protection: Protection;
  readonly strategy: Strategy;
  readonly #group: string;

  constructor({ protection, strategy }: ReturnType<typeof pluginsOf>, group: string) {
    this.protection = protection;
    this.strategy = strategy;
    this.#group = group;
  }

  async update({ round }: Opening, { parameters }: Model) {
    return { update: emptyUpdate(this.#group, round, parameters), loss: null };
  }

  async score() {
    return null;
  }

  exportModel() {
    return null;
  }

  async close(): Promise<void> {}
}

/** Errors: CONFIG_CONFLICT where the run has no place for somebody of this name without answers, and those of `parseConfig`. */
export function openTrusteeWork(definition: RunDefinition, group: string): LocalWork {
  const plugins = pluginsOf(definition);
  if (plugins.protection.trustees.includes(group)) return new TrusteeWork(plugins, group);
  throw new PluralError('CONFIG_CONFLICT', `run "${definition.run}" names no trustee "${group}"`, {
    hint: 'A folder without answers can be a member of the committee that protection.committee names, with trustees: true. A group needs its answers: pluralllm group init.',
  });
}
