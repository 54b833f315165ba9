import { parseConfig, roundPlugins } from '../config/config.ts';
import { PluralError } from '../core/errors.ts';
import type { Protection } from '../privacy/protection.ts';
import { emptyUpdate } from '../training/make-update.ts';
import type { RunDefinition } from '../wire/run-definition.ts';
import type { Model } from '../wire/stages.ts';
import type { LocalWork } from './local-training.ts';

/** The protection of a run, as its definition has it. Errors: those of `parseConfig`. */
function protectionOf({ plan }: RunDefinition): Protection {
  const { config, survey, parameters } = plan;
  const questions = survey.questions.length - survey.heldOutQuestions.length;
  return roundPlugins(parseConfig(config), questions, parameters).protection;
}

/** The work of who takes part without answers: an update of zeros, without weight. */
class TrusteeWork implements LocalWork {
  readonly protection: Protection;
  readonly #group: string;

  constructor(protection: Protection, group: string) {
    this.protection = protection;
    this.#group = group;
  }

  async update(round: number, { parameters }: Model) {
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
  const protection = protectionOf(definition);
  if (protection.trustees.includes(group)) return new TrusteeWork(protection, group);
  throw new PluralError('CONFIG_CONFLICT', `run "${definition.run}" names no trustee "${group}"`, {
    hint: 'A folder without answers can be a member of the committee that protection.committee names, with trustees: true. A group needs its answers: pluralllm group init.',
  });
}
