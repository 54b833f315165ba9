import { ownRows } from '../config/own-rows.ts';
import { roundPlugins } from '../config/round-plugins.ts';
import { roundsLayout } from '../config/sharded-run.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { evaluatePredictor } from '../evaluate/evaluate.ts';
import type { Predict } from '../predictor/prediction.ts';
import type { Protection } from '../privacy/protection.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { resolveDevice } from '../training/device.ts';
import { exportModel } from '../training/export-model.ts';
import { makeUpdate } from '../training/make-update.ts';
import { checkDevice } from '../training/self-check.ts';
import type { Model, Update } from '../wire/stages.ts';
import { isCode, sitsOut } from './failures.ts';
import { type LocalOptions, type Prepared, prepare } from './local-setup.ts';
import { KeeperTrainer } from './sharding/keeper-trainer.ts';
import type { ShardedMeans } from './sharding/means.ts';
import { type Opening, PoolTrainer, type Trainer } from './trainer.ts';

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
  /** Trains from a model in an opening of a round; the same round and model give the same update. `told`: what the group tells of the model. No loss where nothing is trained on. Errors: NOT_FINITE, ROUND_REFUSED for a model that gives the group no weight. */
  update(
    opening: Opening,
    model: Model,
    told: number | null,
  ): Promise<{ update: Update; loss: number | null }>;
  /** How well a model predicts this group's answers from some of them; null where it has none. */
  score(model: Model): Promise<OwnScore | null>;
  /** The model as an ONNX file; null for who has no use for it. */
  exportModel(model: Model): Uint8Array | null;
  /** Gives up what is under way, with INTERRUPTED, and frees all threads. */
  close(): Promise<void>;
}

/** The real local work. */
class OwnWork implements LocalWork {
  readonly #prepared: Prepared;
  readonly #plugins: ReturnType<typeof roundPlugins>;
  readonly #layout: ReturnType<typeof roundsLayout>;
  readonly #group: string;
  readonly #trainer: Trainer;
  /** Of the model that was scored last: what a group sees of each model is weighed by it, too. */
  #scored: { readonly model: string; readonly score: OwnScore } | undefined;

  constructor(prepared: Prepared, { definition, group }: LocalOptions, trainer: Trainer) {
    this.#prepared = prepared;
    const { questions, heldOutQuestions } = definition.plan.survey;
    this.#layout = roundsLayout(prepared.config, prepared.predictor.layout);
    const trainable = questions.length - heldOutQuestions.length;
    this.#plugins = roundPlugins(prepared.config, trainable, this.#layout);
    this.#group = group;
    this.#trainer = trainer;
  }

  get protection(): Protection {
    return this.#plugins.protection;
  }

  get strategy(): Strategy {
    return this.#plugins.strategy;
  }

  async update(opening: Opening, model: Model, told: number | null) {
    const { config, usable } = this.#prepared;
    const { round } = opening;
    const received = model.parameters;
    // Before training, which diverges from a model that cannot be scored.
    const score = this.strategy.scores ? await this.#scoreToWeigh(round, model) : null;
    const { proximal } = this.strategy.local;
    const { parameters: trained, loss } = await this.#trainer.train(opening, received, proximal);
    const weight = this.strategy.weightOf({ questions: usable, score });
    const rows = ownRows(config, { ...this.#prepared, layout: this.#layout }, 0);
    const group = this.#group;
    return { update: makeUpdate({ group, round, weight, received, trained, score: told, rows }), loss };
  }

  async score(model: Model): Promise<OwnScore | null> {
    if (this.#scored?.model === model.digest) return this.#scored.score;
    const score = await this.#trainer.predicting(model.parameters, (predict) => this.#scoreOf(predict));
    if (score !== null) this.#scored = { model: model.digest, score };
    return score;
  }

  /**
   * What the strategy weighs the group by. A model whose predictions are not finite gives no weight, and whoever made it should not end the
   * processes of all groups. Training that diverges does end them: it follows from the settings of the run, and comes again. Errors: ROUND_REFUSED.
   */
  async #scoreToWeigh(round: number, model: Model): Promise<number> {
    const without = (reason: string) =>
      sitsOut(round, `its weight follows from a score, and the model has none: ${reason}`);
    try {
      const score = await this.score(model);
      if (score === null) throw without('the keepers do not answer');
      return score.alignment;
    } catch (thrown) {
      if (!isCode(thrown, ['NOT_FINITE'])) throw thrown;
      throw without(thrown.message);
    }
  }

  async #scoreOf(predict: Predict): Promise<OwnScore> {
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
      predict,
    });
    const [score] = evaluation.scores;
    invariant(score !== undefined, 'one group, one score');
    return { alignment: score.alignment, questions: score.questions };
  }

  /** Nobody has the whole model of a sharded run. */
  exportModel(model: Model): Uint8Array | null {
    return this.#prepared.config.sharding === null ? exportModel(this.#prepared, model) : null;
  }

  close(): Promise<void> {
    return this.#trainer.close();
  }
}

/**
 * Prepares a group's own work for a run, after checking that what is here fits the definition; `means`: what a group has for a sharded run, where it is to take part in its rounds. Errors: MODEL_MISMATCH,
 * FEATURES_MISSING, DATA_CONTEXT_TOO_LARGE, DATA_FORMAT, DATA_OPTION_COUNT, DEVICE_UNAVAILABLE, CONFIG_CONFLICT for a group that the run
 * takes for a trustee, and those of `parseConfig`.
 */
export async function openLocalWork(
  options: LocalOptions,
  means: ShardedMeans | null = null,
): Promise<LocalWork> {
  const prepared = await prepare(options);
  await checkDevice(resolveDevice(options.device));
  const { group } = options;
  const trainer =
    prepared.config.sharding === null
      ? new PoolTrainer(prepared, group)
      : new KeeperTrainer(prepared, options, means);
  const work = new OwnWork(prepared, options, trainer);
  if (!work.protection.trustees.includes(group)) return work;
  throw new PluralError('CONFIG_CONFLICT', `"${group}" is a trustee in this run, who has no answers`, {
    hint: 'Join under another name, or from a folder that "committee init" made.',
  });
}
