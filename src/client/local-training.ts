import { ownRows } from '../config/own-rows.ts';
import { roundPlugins } from '../config/round-plugins.ts';
import { workerSetup } from '../config/worker-setup.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { evaluatePredictor } from '../evaluate/evaluate.ts';
import type { Protection } from '../privacy/protection.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { resolveDevice } from '../training/device.ts';
import { exportModel } from '../training/export-model.ts';
import { makeUpdate } from '../training/make-update.ts';
import { startPool, type TrainingPool } from '../training/pool.ts';
import { predictWith } from '../training/pool-predict.ts';
import { checkDevice } from '../training/self-check.ts';
import { shareFloats } from '../training/shared-data.ts';
import type { Model, Update } from '../wire/stages.ts';
import { isCode, sitsOut } from './failures.ts';
import { type LocalOptions, type Prepared, prepare } from './local-setup.ts';

/** How well a model predicts a group, and on how many of its questions. */
interface OwnScore {
  readonly alignment: number;
  readonly questions: number;
}

/** The part of a round that a group does by itself; fault tests put a stand-in here. */
export interface LocalWork {
  /** How this run protects updates. */
  readonly protection: Protection;
  /** How updates become the next model, where the group itself adds them to it. */
  readonly strategy: Strategy;
  /** Trains from a model; the same round and model give the same update. `told`: what the group tells of the model. No loss where nothing is trained on. Errors: NOT_FINITE, ROUND_REFUSED for a model that gives the group no weight. */
  update(round: number, model: Model, told: number | null): Promise<{ update: Update; loss: number | null }>;
  /** How well a model predicts this group's answers from some of them; null where it has none. */
  score(model: Model): Promise<OwnScore | null>;
  /** The model as an ONNX file; null for who has no use for it. */
  exportModel(model: Model): Uint8Array | null;
  /** Gives up what is under way, with INTERRUPTED, and frees all threads. */
  close(): Promise<void>;
}

/** The real local work: trains in a worker thread that is kept over rounds. */
class OwnWork implements LocalWork {
  readonly #prepared: Prepared;
  readonly #plugins: ReturnType<typeof roundPlugins>;
  readonly #group: string;
  #pool: TrainingPool | undefined;
  /** Of the model that was scored last: what a group sees of each model is weighed by it, too. */
  #scored: { readonly model: string; readonly score: OwnScore } | undefined;
  #closed = false;

  constructor(prepared: Prepared, { definition, group }: LocalOptions) {
    this.#prepared = prepared;
    const { questions, heldOutQuestions } = definition.plan.survey;
    this.#plugins = roundPlugins(
      prepared.config,
      questions.length - heldOutQuestions.length,
      prepared.predictor.layout,
    );
    this.#group = group;
  }

  get protection(): Protection {
    return this.#plugins.protection;
  }

  get strategy(): Strategy {
    return this.#plugins.strategy;
  }

  async update(round: number, model: Model, told: number | null) {
    const { config, usable, predictor } = this.#prepared;
    const { localSteps, rounds } = config.training;
    const received = model.parameters;
    // Before training, which diverges from a model that cannot be scored.
    const score = this.strategy.scores ? await this.#scoreToWeigh(round, model) : null;
    const { parameters: trained, loss } = await this.#workers().run<'train'>({
      kind: 'train',
      parameters: received,
      group: 0,
      stream: ['group', this.#group],
      firstStep: (round - 1) * localSteps,
      steps: localSteps,
      totalSteps: rounds * localSteps,
      optimizer: null,
      proximal: this.strategy.local.proximal,
      keepOptimizer: false,
    });
    const weight = this.strategy.weightOf({ questions: usable, score });
    const rows = ownRows(config, { ...this.#prepared, layout: predictor.layout }, 0);
    const group = this.#group;
    return { update: makeUpdate({ group, round, weight, received, trained, score: told, rows }), loss };
  }

  async score(model: Model): Promise<OwnScore> {
    if (this.#scored?.model === model.digest) return this.#scored.score;
    const score = await this.#scoreOf(model);
    this.#scored = { model: model.digest, score };
    return score;
  }

  /**
   * What the strategy weighs the group by. A model whose predictions are not finite gives no weight, and whoever made it should not end the
   * processes of all groups. Training that diverges does end them: it follows from the settings of the run, and comes again. Errors: ROUND_REFUSED.
   */
  async #scoreToWeigh(round: number, model: Model): Promise<number> {
    try {
      return (await this.score(model)).alignment;
    } catch (thrown) {
      if (!isCode(thrown, ['NOT_FINITE'])) throw thrown;
      throw sitsOut(round, `its weight follows from a score, and the model has none: ${thrown.message}`);
    }
  }

  async #scoreOf(model: Model): Promise<OwnScore> {
    const { config, survey, heldOutQuestions, usable } = this.#prepared;
    const { contextQuestions, draws } = config.evaluation;
    const { evaluation } = await evaluatePredictor({
      survey,
      groups: [{ group: 0, split: 'training' }],
      heldOutQuestions,
      // A group with few answers tells fewer, so that one is left to predict.
      contextQuestions: Math.min(contextQuestions, usable - 1),
      draws,
      seed: config.seed,
      predict: predictWith(this.#workers(), survey.questions, shareFloats(model.parameters)),
    });
    const [score] = evaluation.scores;
    invariant(score !== undefined, 'one group, one score');
    return { alignment: score.alignment, questions: score.questions };
  }

  exportModel(model: Model): Uint8Array {
    return exportModel(this.#prepared, model);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool?.close();
  }

  /** The thread is started when it is first needed: joining needs none. */
  #workers(): TrainingPool {
    if (this.#closed) throw new PluralError('INTERRUPTED', 'the local work was stopped');
    const { config, ...inputs } = this.#prepared;
    const device = resolveDevice(config.runtime.device);
    this.#pool ??= startPool(workerSetup(config, { ...inputs, device }), 1);
    return this.#pool;
  }
}

/**
 * Prepares a group's own work for a run, after checking that what is here fits the definition. Errors: MODEL_MISMATCH,
 * FEATURES_MISSING, DATA_CONTEXT_TOO_LARGE, DATA_FORMAT, DATA_OPTION_COUNT, DEVICE_UNAVAILABLE, CONFIG_CONFLICT for a group that the run
 * takes for a trustee, and those of `parseConfig`.
 */
export async function openLocalWork(options: LocalOptions): Promise<LocalWork> {
  const prepared = await prepare(options);
  await checkDevice(resolveDevice(options.device));
  const work = new OwnWork(prepared, options);
  const { group } = options;
  if (!work.protection.trustees.includes(group)) return work;
  throw new PluralError('CONFIG_CONFLICT', `"${group}" is a trustee in this run, who has no answers`, {
    hint: 'Join under another name, or from a folder that "committee init" made.',
  });
}
