import { ownRows } from '../config/own-rows.ts';
import { bytesOf } from '../core/bytes.ts';
import { invariant } from '../core/errors.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import type { Predict } from '../predictor/prediction.ts';
import type { Protection } from '../privacy/protection.ts';
import { type AggregatorEffect, roundFailure } from '../round/aggregator.ts';
import type { Strategy, StrategyState } from '../strategy/strategy.ts';
import { asStorable } from '../training/checkpoint.ts';
import { emptyUpdate, makeUpdate } from '../training/make-update.ts';
import { makeModel } from '../wire/model.ts';
import type { Model, Update } from '../wire/stages.ts';
import { evaluateOn, evaluatePoint, evaluationDue, type RunContext } from './context.ts';
import { pluginsOf } from './experiment.ts';
import { FEDERATED, type FederatedState, federatedStore, trainedOn } from './federated-state.ts';
import type { Learner, TrainedGroup } from './learner.ts';
import { type Ask, type Network, networkOf, type Traffic } from './network.ts';
import { poolLearner } from './pool-learner.ts';
import { type CheckpointStore, freshProgress, type Progress } from './progress.ts';
import { shardedLearner } from './sharded-learner.ts';

/** What federated training leaves behind. */
export interface FederatedResult {
  readonly model: Model;
  readonly progress: Progress;
  readonly traffic: Readonly<Traffic>;
  /** The evaluation of the last round. */
  readonly evaluated: Evaluated;
}

/**
 * A whole federated run in one process: a learner trains the groups, a network brings their updates to the
 * aggregator. It carries out the effects of the aggregator's state machine; what is decided, is decided in round/.
 */
class FederatedRun {
  readonly #run: RunContext;
  readonly #learner: Learner;
  readonly #protection: Protection;
  readonly #strategy: Strategy;
  readonly #store: CheckpointStore<FederatedState>;
  readonly #groupIndex: ReadonlyMap<string, number>;
  readonly #network: Network;
  #strategyState: StrategyState;
  #model: Model;
  #progress: Progress = freshProgress();
  #roundLosses: number[] = [];
  #evaluated: Evaluated | undefined;

  constructor(run: RunContext, learner: Learner) {
    const { experiment, folder, fingerprint } = run;
    const { survey, trainingGroups } = experiment;
    this.#run = run;
    this.#learner = learner;
    const plugins = pluginsOf(experiment, learner.layout);
    this.#protection = plugins.protection;
    this.#strategy = plugins.strategy;
    this.#strategyState = this.#strategy.initialState();
    this.#store = federatedStore(folder, fingerprint);
    this.#groupIndex = new Map(trainingGroups.map((group) => [survey.groups[group]!.id, group]));
    this.#network = networkOf(run, this.#protection, [...this.#groupIndex.keys()]);
    this.#model = learner.initial();
  }

  async train(): Promise<FederatedResult> {
    await this.#begin();
    for (let effect = this.#network.nextEffect(); effect !== undefined; effect = this.#network.nextEffect()) {
      await this.#carryOut(effect);
    }
    // A run that was resumed after its last round still has to be evaluated.
    this.#evaluated ??= await evaluateOn(this.#run, this.#predictor());
    return {
      model: this.#model,
      progress: this.#progress,
      traffic: this.#network.traffic,
      evaluated: this.#evaluated,
    };
  }

  /** Starts anew, or goes on behind the last round that was stored. */
  async #begin(): Promise<void> {
    await this.#protection.prepare();
    const stored = this.#store.load();
    if (stored !== null) {
      this.#progress = stored.progress;
      this.#strategyState = stored.state.strategy;
      this.#model = makeModel(stored.progress.round, stored.state.parameters);
      this.#network.resume(stored.state.aggregator, stored.state.traffic);
      await this.#learner.restore(stored.state.keepers ?? null);
    }
    this.#tellBegin();
    if (stored !== null) return;
    await this.#evaluatePoint(0);
    this.#network.start();
  }

  #tellBegin(): void {
    const { round } = this.#progress;
    const { rounds } = this.#run.experiment.config.training;
    this.#run.emit({ type: 'begin', method: FEDERATED, label: 'federated', round, rounds });
  }

  async #carryOut(effect: AggregatorEffect): Promise<void> {
    switch (effect.type) {
      case 'ask':
        return this.#collect(effect);
      case 'fold':
        return this.#finishRound(effect.round);
      case 'fail':
        throw roundFailure(effect.reason);
      case 'finish':
        return this.#network.finish();
      case 'acknowledge':
      case 'refuse':
        invariant(false, 'submissions are answered as they come');
    }
  }

  /** Carries out one step of a round with all groups that it asks. */
  async #collect(ask: Ask): Promise<void> {
    this.#timed(() => this.#network.beginStep(ask, this.#model));
    if (ask.step === this.#protection.updateStep) return this.#trainAll(ask);
    for (const group of ask.from) this.#exchange(group, ask, null);
  }

  /** All groups asked train; each update is sent as it comes, so memory does not grow with them. */
  async #trainAll(ask: Ask): Promise<void> {
    const started = performance.now();
    const before = this.#progress.seconds.aggregate;
    this.#roundLosses = [];
    await this.#forEachUpdate(ask, (update) => this.#exchange(update.group, ask, update));
    const aggregated = this.#progress.seconds.aggregate - before;
    this.#progress.seconds.train += (performance.now() - started) / 1000 - aggregated;
    // Later models are made from sealed sums, where the aggregator has none.
    const published = this.#protection.sealedSums === null || ask.round === 1;
    if (published) this.#network.countDownload(ask.from.length * this.#model.parameters.byteLength);
  }

  /** The updates of all who are asked, in the order asked. Who has no answers gives zeros when its turn comes. */
  async #forEachUpdate({ from, round }: Ask, send: (update: Update) => void): Promise<void> {
    const received = this.#model.parameters;
    const groups = from.flatMap((group) => this.#groupIndex.get(group) ?? []);
    const scores = await this.#scoresOf(groups);
    const waiting = [...from];
    const sendEmpty = () => {
      while (waiting.length > 0 && !this.#groupIndex.has(waiting[0]!)) {
        send(emptyUpdate(waiting.shift()!, round, received));
      }
    };
    await this.#learner.train({ groups, round, received }, (trained) => {
      sendEmpty();
      const group = waiting.shift()!;
      invariant(this.#groupIndex.get(group) === trained.group, 'a learner keeps the order');
      this.#roundLosses.push(trained.loss);
      if (trained.traffic !== undefined) this.#network.countFrames(trained.traffic);
      send(this.#updateOf(group, round, trained, scores?.get(group) ?? null));
    });
    sendEmpty();
    invariant(waiting.length === 0, 'a learner leaves no group out');
  }

  /** Alignment scores of the model on the own answers of some groups, as each of them takes it by itself; null where the strategy asks for none. */
  async #scoresOf(groups: readonly number[]): Promise<ReadonlyMap<string, number> | null> {
    if (!this.#strategy.scores) return null;
    const own = groups.map((group) => ({ group, split: 'training' as const }));
    const { evaluation } = await evaluateOn(this.#run, this.#predictor(), own);
    return new Map(evaluation.scores.map(({ group, alignment }) => [group, alignment]));
  }

  /** The update of a group that trained. `score`: its own of the model that it received, where the strategy asks for it. */
  #updateOf(group: string, round: number, trained: TrainedGroup, score: number | null): Update {
    const { experiment } = this.#run;
    const { survey, heldOutQuestions, config } = experiment;
    const questions = usableQuestions(survey, heldOutQuestions, trained.group);
    return makeUpdate({
      group,
      round,
      weight: this.#strategy.weightOf({ questions, score }),
      received: this.#model.parameters,
      trained: trained.parameters,
      score: null,
      rows: ownRows(config, { ...experiment, layout: this.#learner.layout }, trained.group),
    });
  }

  #exchange(group: string, ask: Ask, update: Update | null): void {
    this.#timed(() => this.#network.exchange(group, ask, update));
  }

  #timed<Result>(work: () => Result): Result {
    const started = performance.now();
    const result = work();
    this.#progress.seconds.aggregate += (performance.now() - started) / 1000;
    return result;
  }

  /** A run is stored between folding and `folded`: a round that is in the model already is not folded again. */
  async #finishRound(round: number): Promise<void> {
    if (this.#progress.round < round) {
      const reason = this.#timed(() => this.#network.endRound());
      if (reason !== null) return this.#network.deliver({ type: 'incomplete', round, reason });
      await this.#foldRound(round);
    }
    this.#network.deliver({ type: 'folded', round });
  }

  async #foldRound(round: number): Promise<void> {
    const { experiment, emit } = this.#run;
    const { rounds, localSteps } = experiment.config.training;
    this.#timed(() => this.#nextModel());
    const loss = meanOf(this.#roundLosses);
    this.#progress.round = round;
    this.#progress.losses.push(loss);
    emit({ type: 'round', method: FEDERATED, round, rounds, loss });
    if (evaluationDue(experiment, round)) {
      const evaluated = await this.#evaluatePoint(round * localSteps);
      this.#evaluated = round === rounds ? evaluated : undefined;
    }
    const keepers = this.#learner.memory();
    this.#store.save(this.#progress, {
      ...(keepers === null ? {} : { keepers }),
      ...trainedOn(experiment),
      aggregator: asStorable(this.#network.aggregator),
      strategy: this.#strategyState,
      parameters: bytesOf(this.#model.parameters),
      traffic: this.#network.traffic,
    });
  }

  #nextModel(): void {
    const next = this.#strategy.next(this.#model, this.#network.aggregate(), this.#strategyState);
    this.#model = next.model;
    this.#strategyState = next.state;
  }

  #evaluatePoint(step: number): Promise<Evaluated> {
    return evaluatePoint(this.#run, FEDERATED, this.#predictor(), this.#progress, step);
  }

  /** What the newest model predicts. */
  #predictor(): Predict {
    return this.#learner.predictor(this.#model.parameters);
  }
}

/** How the groups of a run train. Errors: ENGINE_FAILED. */
async function learnerOf(run: RunContext): Promise<Learner> {
  const { sharding } = run.experiment.config;
  return sharding === null ? poolLearner(run) : shardedLearner(run, sharding);
}

/** Trains federated, from the start or from the last stored round; `given`: a learner other than that of the configuration. */
export async function trainFederated(run: RunContext, given?: Learner): Promise<FederatedResult> {
  const learner = given ?? (await learnerOf(run));
  try {
    return await new FederatedRun(run, learner).train();
  } finally {
    await learner.close();
  }
}
