import { roundPlugins } from '../config/config.ts';
import { bytesOf } from '../core/bytes.ts';
import { forEachOrdered } from '../core/concurrent.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import type { Fold, Protection } from '../privacy/protection.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  outstandingEffects,
  roundFailure,
  stepAggregator,
} from '../round/aggregator.ts';
import { type AggregatorState, newRun, type Reply } from '../round/aggregator-state.ts';
import { type GroupEffect, type GroupMessage, type GroupState, newGroup, stepGroup } from '../round/group.ts';
import type { Strategy, StrategyState } from '../strategy/strategy.ts';
import { asStorable } from '../training/checkpoint.ts';
import { initialModel } from '../training/initial-model.ts';
import { makeUpdate } from '../training/make-update.ts';
import { shareFloats } from '../training/shared-data.ts';
import { makeModel } from '../wire/model.ts';
import type { Model, Submission } from '../wire/stages.ts';
import { checkOrigin, decodeSubmission, encodeSubmission } from '../wire/submission.ts';
import { evaluateModel, evaluatePoint, evaluationDue, type RunContext } from './context.ts';
import { FEDERATED, type FederatedState, federatedStore, trainedOn } from './federated-state.ts';
import { type CheckpointStore, freshProgress, type Progress } from './progress.ts';

type Ask = Extract<AggregatorEffect, { type: 'ask' }>;

/** What was sent, summed over groups and rounds. */
export interface Traffic {
  uploaded: number;
  downloaded: number;
}

/** What federated training leaves behind. */
export interface FederatedResult {
  readonly model: Model;
  readonly progress: Progress;
  readonly traffic: Traffic;
  /** The evaluation of the last round. */
  readonly evaluated: Evaluated;
}

/**
 * A whole federated run in one process. It carries out the effects of the aggregator's state machine and of the
 * groups' machines, and plays the network between them; what is decided, is decided in round/.
 */
class FederatedRun {
  readonly #run: RunContext;
  readonly #protection: Protection;
  readonly #strategy: Strategy;
  readonly #store: CheckpointStore<FederatedState>;
  readonly #groupIndex: ReadonlyMap<string, number>;
  readonly #groups: Map<string, GroupState>;
  readonly #effects: AggregatorEffect[] = [];
  #aggregator: AggregatorState;
  #strategyState: StrategyState;
  #model: Model;
  #progress: Progress = freshProgress();
  #traffic: Traffic = { uploaded: 0, downloaded: 0 };
  #fold: Fold | undefined;
  #roundLosses: number[] = [];
  #evaluated: Evaluated | undefined;

  constructor(run: RunContext) {
    const { experiment, folder, fingerprint } = run;
    const { survey, trainingGroups, config } = experiment;
    this.#run = run;
    const plugins = roundPlugins(config);
    this.#protection = plugins.protection;
    this.#strategy = plugins.strategy;
    this.#strategyState = this.#strategy.initialState();
    this.#store = federatedStore(folder, fingerprint);
    this.#groupIndex = new Map(trainingGroups.map((group) => [survey.groups[group]!.id, group]));
    this.#groups = new Map([...this.#groupIndex.keys()].map((group) => [group, newGroup(group)]));
    const { steps } = this.#protection;
    invariant(steps.length === 1, 'the simulator carries out rounds of one step');
    this.#aggregator = newRun({ rounds: config.training.rounds, quorum: trainingGroups.length, steps });
    this.#model = initialModel(experiment.predictor, config.seed);
  }

  async train(): Promise<FederatedResult> {
    await this.#begin();
    for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
      await this.#carryOut(effect);
    }
    // A run that was resumed after its last round still has to be evaluated.
    this.#evaluated ??= await evaluateModel(this.#run, this.#model.parameters);
    return {
      model: this.#model,
      progress: this.#progress,
      traffic: this.#traffic,
      evaluated: this.#evaluated,
    };
  }

  /** Starts anew, or goes on behind the last round that was stored. */
  async #begin(): Promise<void> {
    const stored = this.#store.load();
    if (stored !== null) {
      this.#progress = stored.progress;
      this.#aggregator = stored.state.aggregator;
      this.#strategyState = stored.state.strategy;
      this.#traffic = stored.state.traffic;
      this.#model = makeModel(stored.progress.round, stored.state.parameters);
    }
    this.#tellBegin();
    if (stored !== null) return void this.#effects.push(...outstandingEffects(this.#aggregator));
    await evaluatePoint(this.#run, FEDERATED, this.#model.parameters, this.#progress, 0);
    for (const group of this.#groupIndex.keys()) this.#deliver({ type: 'join', group });
    this.#deliver({ type: 'start' });
  }

  #tellBegin(): void {
    const { round } = this.#progress;
    const { rounds } = this.#run.experiment.config.training;
    this.#run.emit({ type: 'begin', method: FEDERATED, label: 'federated', round, rounds });
  }

  #step(message: AggregatorMessage): readonly AggregatorEffect[] {
    const { state, effects } = stepAggregator(this.#aggregator, message);
    this.#aggregator = state;
    return effects;
  }

  #deliver(message: AggregatorMessage): void {
    this.#effects.push(...this.#step(message));
  }

  #tellGroup(group: string, message: GroupMessage): readonly GroupEffect[] {
    const { state, effects } = stepGroup(this.#groups.get(group)!, message);
    this.#groups.set(group, state);
    return effects;
  }

  async #carryOut(effect: AggregatorEffect): Promise<void> {
    switch (effect.type) {
      case 'ask':
        return this.#collect(effect);
      case 'fold':
        return this.#finishRound(effect.round, effect.replies[0]!);
      case 'fail':
        throw roundFailure(effect.reason);
      case 'finish':
        for (const group of this.#groups.keys()) this.#tellGroup(group, { type: 'finished' });
        return;
      case 'acknowledge':
      case 'refuse':
        invariant(false, 'submissions are answered as they come');
    }
  }

  /** All groups asked train in parallel; each submission is added as it comes, so memory does not grow with them. */
  async #collect(ask: Ask): Promise<void> {
    const started = performance.now();
    const before = this.#progress.seconds.aggregate;
    const shared = shareFloats(this.#model.parameters);
    this.#fold = this.#protection.fold(ask.round, shared.length);
    this.#roundLosses = [];
    await forEachOrdered(
      ask.from,
      2 * this.#run.pool.workers,
      (group) => this.#trainGroup(group, ask, shared),
      ({ submission, loss }) => {
        this.#roundLosses.push(loss);
        this.#receive(submission);
      },
    );
    const aggregated = this.#progress.seconds.aggregate - before;
    this.#progress.seconds.train += (performance.now() - started) / 1000 - aggregated;
  }

  /** One group's part of a round: asked, trained, protected, sent. */
  async #trainGroup(
    group: string,
    { round, step }: Ask,
    received: Float32Array,
  ): Promise<{ submission: Submission; loss: number }> {
    const { experiment, pool } = this.#run;
    const { localSteps, rounds } = experiment.config.training;
    const [work] = this.#tellGroup(group, { type: 'asked', round, step });
    invariant(work?.type === 'work', 'a group that is asked works');
    const result = await pool.run<'train'>({
      kind: 'train',
      parameters: received,
      group: this.#groupIndex.get(group)!,
      stream: ['group', group],
      firstStep: (round - 1) * localSteps,
      steps: localSteps,
      totalSteps: rounds * localSteps,
      optimizer: null,
    });
    const submission = this.#timed(() => this.#protect(group, { round, step }, received, result.parameters));
    const [send] = this.#tellGroup(group, { type: 'done', round, step });
    invariant(send?.type === 'send', 'a group that is done sends');
    return { submission, loss: result.loss };
  }

  #protect(
    group: string,
    { round, step }: Pick<Ask, 'round' | 'step'>,
    received: Float32Array,
    trained: Float32Array,
  ): Submission {
    const { survey, heldOutQuestions } = this.#run.experiment;
    const questions = usableQuestions(survey, heldOutQuestions, this.#groupIndex.get(group)!);
    const weight = this.#strategy.weightOf({ questions });
    const update = makeUpdate({ group, round, weight, received, trained });
    return encodeSubmission(this.#protection.protect(update), { ...this.#origin(), step });
  }

  /** Run and model that the updates of the round under way belong to. */
  #origin(): { run: string; model: string } {
    return { run: this.#run.fingerprint, model: this.#model.digest };
  }

  /** What comes in is added only when the machine has accepted it, and accepted it for the first time. */
  #receive({ digest, bytes }: Submission): void {
    this.#traffic.uploaded += bytes.byteLength;
    this.#traffic.downloaded += this.#model.parameters.byteLength;
    const received = this.#timed(() => decodeSubmission(bytes));
    checkOrigin(received, this.#origin());
    const { update, origin } = received;
    const { group, round } = update;
    const [answer, ...rest] = this.#step({ type: 'submission', group, round, step: origin.step, digest });
    if (answer?.type === 'refuse') {
      this.#tellGroup(group, { ...answer, type: 'refused' });
      throw new PluralError('ROUND_REFUSED', `group "${group}" was refused: ${answer.reason}`);
    }
    invariant(answer?.type === 'acknowledge', 'a submission is acknowledged or refused');
    if (!answer.repeated) this.#timed(() => this.#fold!.add(update));
    this.#tellGroup(group, { ...answer, type: 'acknowledged' });
    this.#effects.push(...rest);
  }

  #timed<Result>(work: () => Result): Result {
    const started = performance.now();
    const result = work();
    this.#progress.seconds.aggregate += (performance.now() - started) / 1000;
    return result;
  }

  /** A run is stored between folding and `folded`: a round that is in the model already is not folded again. */
  async #finishRound(round: number, replies: readonly Reply[]): Promise<void> {
    if (this.#progress.round < round) await this.#foldRound(round, replies);
    this.#deliver({ type: 'folded', round });
  }

  async #foldRound(round: number, replies: readonly Reply[]): Promise<void> {
    const { experiment, emit } = this.#run;
    const { rounds, localSteps } = experiment.config.training;
    this.#timed(() => this.#nextModel(replies));
    const loss = meanOf(this.#roundLosses);
    this.#progress.round = round;
    this.#progress.losses.push(loss);
    emit({ type: 'round', method: FEDERATED, round, rounds, loss });
    if (evaluationDue(experiment, round)) {
      const { parameters } = this.#model;
      const evaluated = await evaluatePoint(
        this.#run,
        FEDERATED,
        parameters,
        this.#progress,
        round * localSteps,
      );
      this.#evaluated = round === rounds ? evaluated : undefined;
    }
    this.#store.save(this.#progress, {
      ...trainedOn(experiment),
      aggregator: asStorable(this.#aggregator),
      strategy: this.#strategyState,
      parameters: bytesOf(this.#model.parameters),
      traffic: { ...this.#traffic },
    });
  }

  #nextModel(replies: readonly Reply[]): void {
    const aggregate = this.#fold!.finish();
    const listed = replies.map(({ group }) => group);
    invariant(
      listed.join('\0') === aggregate.groups.join('\0'),
      'the sum is of the groups that the round lists',
    );
    const next = this.#strategy.next(this.#model, aggregate, this.#strategyState);
    this.#model = next.model;
    this.#strategyState = next.state;
  }
}

/** Trains federated, from the start or from the last stored round. */
export function trainFederated(run: RunContext): Promise<FederatedResult> {
  return new FederatedRun(run).train();
}
