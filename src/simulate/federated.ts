import { ownRows } from '../config/own-rows.ts';
import { participationOf, roundGroups } from '../config/round-groups.ts';
import { asStage } from '../core/brand.ts';
import { bytesOf } from '../core/bytes.ts';
import { forEachOrdered } from '../core/concurrent.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import type { Protection } from '../privacy/protection.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  outstandingEffects,
  roundFailure,
  stepAggregator,
} from '../round/aggregator.ts';
import { type AggregatorState, newRun } from '../round/aggregator-state.ts';
import { type GroupEffect, type GroupMessage, type GroupState, newGroup, stepGroup } from '../round/group.ts';
import type { Strategy, StrategyState } from '../strategy/strategy.ts';
import { asStorable } from '../training/checkpoint.ts';
import { initialModel } from '../training/initial-model.ts';
import { emptyUpdate, makeUpdate } from '../training/make-update.ts';
import { shareFloats } from '../training/shared-data.ts';
import { makeModel } from '../wire/model.ts';
import type { Model, ProtectedUpdate, Submission, Update } from '../wire/stages.ts';
import { checkOrigin, decodeSubmission, encodeSubmission } from '../wire/submission.ts';
import {
  evaluateModel,
  evaluateOn,
  evaluatePoint,
  evaluationDue,
  predictorFrom,
  type RunContext,
} from './context.ts';
import { pluginsOf } from './experiment.ts';
import { FEDERATED, type FederatedState, federatedStore, trainedOn } from './federated-state.ts';
import { type CheckpointStore, freshProgress, type Progress } from './progress.ts';
import { RoundParts } from './round-parts.ts';

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
  #round: RoundParts | undefined;
  #roundLosses: number[] = [];
  #evaluated: Evaluated | undefined;

  constructor(run: RunContext) {
    const { experiment, folder, fingerprint } = run;
    const { survey, trainingGroups, config } = experiment;
    this.#run = run;
    const plugins = pluginsOf(experiment);
    this.#protection = plugins.protection;
    this.#strategy = plugins.strategy;
    this.#strategyState = this.#strategy.initialState();
    this.#store = federatedStore(folder, fingerprint);
    this.#groupIndex = new Map(trainingGroups.map((group) => [survey.groups[group]!.id, group]));
    const participants = participantsOf([...this.#groupIndex.keys()], this.#protection);
    this.#groups = new Map(participants.map((group) => [group, newGroup(group)]));
    this.#aggregator = newRun({
      rounds: config.training.rounds,
      quorum: roundGroups(config, this.#protection),
      steps: this.#protection.steps,
      participation: participationOf(config),
    });
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
    await this.#protection.prepare();
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
    for (const group of this.#groups.keys()) this.#deliver({ type: 'join', group });
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
        return this.#finishRound(effect.round);
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

  /** Carries out one step of a round with all groups that it asks. */
  async #collect(ask: Ask): Promise<void> {
    const { round, attempt, step } = ask;
    if (step === 0) {
      const { experiment, fingerprint: run } = this.#run;
      const { digest: model, parameters } = this.#model;
      const context = { run, round, attempt, model, parameters: parameters.length };
      this.#round = new RoundParts(this.#protection, context, experiment.config.seed);
      this.#roundLosses = [];
    } else this.#timed(() => this.#round!.close(this.#aggregator, step - 1));
    if (step === this.#protection.updateStep) return this.#trainAll(ask);
    for (const group of ask.from) this.#receive(this.#timed(() => this.#answer(group, ask, null)));
  }

  /** All groups asked train in parallel; each submission is added as it comes, so memory does not grow with them. */
  async #trainAll(ask: Ask): Promise<void> {
    const started = performance.now();
    const before = this.#progress.seconds.aggregate;
    const shared = shareFloats(this.#model.parameters);
    const scores = this.#strategy.scores ? await this.#scoresOf(ask.from) : null;
    await forEachOrdered(
      ask.from,
      2 * this.#run.pool.workers,
      (group) => this.#trainGroup(group, ask, { received: shared, score: scores?.get(group) ?? null }),
      ({ submission, loss }) => {
        if (loss !== null) this.#roundLosses.push(loss);
        this.#receive(submission);
      },
    );
    const aggregated = this.#progress.seconds.aggregate - before;
    this.#progress.seconds.train += (performance.now() - started) / 1000 - aggregated;
    // Later models are made from sealed sums, where the aggregator has none.
    const published = this.#protection.sealedSums === null || ask.round === 1;
    if (published) this.#traffic.downloaded += ask.from.length * shared.byteLength;
  }

  /** Alignment scores of the model on the own answers of some groups, as each of them takes it by itself. */
  async #scoresOf(groups: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const own = groups.flatMap((group) => {
      const index = this.#groupIndex.get(group);
      return index === undefined ? [] : [{ group: index, split: 'training' as const }];
    });
    const { evaluation } = await evaluateOn(this.#run, predictorFrom(this.#run, this.#model.parameters), own);
    return new Map(evaluation.scores.map(({ group, alignment }) => [group, alignment]));
  }

  /** One group's training, protected and sent. `score`: its own of the model that it received, where the strategy asks for it. */
  async #trainGroup(
    group: string,
    ask: Ask,
    { received, score }: { readonly received: Float32Array; readonly score: number | null },
  ): Promise<{ submission: Submission; loss: number | null }> {
    const { experiment, pool } = this.#run;
    const { localSteps, rounds } = experiment.config.training;
    const { round } = ask;
    const index = this.#groupIndex.get(group);
    if (index === undefined) {
      const nothing = emptyUpdate(group, round, received);
      return { submission: this.#timed(() => this.#answer(group, ask, nothing)), loss: null };
    }
    const { parameters: trained, loss } = await pool.run<'train'>({
      kind: 'train',
      parameters: received,
      group: index,
      stream: ['group', group],
      firstStep: (round - 1) * localSteps,
      steps: localSteps,
      totalSteps: rounds * localSteps,
      optimizer: null,
      proximal: this.#strategy.local.proximal,
      keepOptimizer: false,
    });
    const questions = usableQuestions(experiment.survey, experiment.heldOutQuestions, index);
    const weight = this.#strategy.weightOf({ questions, score });
    const rows = ownRows(experiment.config, experiment, index);
    const update = makeUpdate({ group, round, weight, received, trained, score: null, rows });
    return { submission: this.#timed(() => this.#answer(group, ask, update)), loss };
  }

  /** What a group sends in a step: asked, worked on, protected. */
  #answer(group: string, { round, attempt, step }: Ask, update: Update | null): Submission {
    const [work] = this.#tellGroup(group, { type: 'asked', round, attempt, step });
    invariant(work?.type === 'work', 'a group that is asked works');
    const { payload, shownBytes } = this.#round!.answer(step, group, update);
    this.#traffic.downloaded += shownBytes;
    const reply: ProtectedUpdate = asStage({ group, round, protection: this.#protection.name, payload });
    const [send] = this.#tellGroup(group, { type: 'done', round, attempt, step });
    invariant(send?.type === 'send', 'a group that is done sends');
    return encodeSubmission(reply, { ...this.#origin(), step });
  }

  /** Run and model that the updates of the round under way belong to. */
  #origin(): { run: string; model: string } {
    return { run: this.#run.fingerprint, model: this.#model.digest };
  }

  /** What comes in is added only when the machine has accepted it, and accepted it for the first time. */
  #receive({ digest, bytes }: Submission): void {
    this.#traffic.uploaded += bytes.byteLength;
    const received = this.#timed(() => decodeSubmission(bytes));
    checkOrigin(received, this.#origin());
    const { update, origin } = received;
    const { group, round } = update;
    const { attempt } = this.#aggregator;
    const [answer, ...rest] = this.#step({ type: 'submission', group, round, step: origin.step, digest });
    if (answer?.type === 'refuse') {
      this.#tellGroup(group, { ...answer, attempt, type: 'refused' });
      throw new PluralError('ROUND_REFUSED', `group "${group}" was refused: ${answer.reason}`);
    }
    invariant(answer?.type === 'acknowledge', 'a submission is acknowledged or refused');
    if (!answer.repeated) this.#timed(() => this.#round!.add(origin.step, update));
    this.#tellGroup(group, { ...answer, attempt, type: 'acknowledged' });
    this.#effects.push(...rest);
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
      this.#timed(() => this.#round!.close(this.#aggregator, this.#protection.steps.length - 1));
      const reason = this.#round!.lacks();
      if (reason !== null) return this.#deliver({ type: 'incomplete', round, reason });
      await this.#foldRound(round);
    }
    this.#deliver({ type: 'folded', round });
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

  #nextModel(): void {
    const { aggregate, sealedBytes } = this.#round!.finish();
    this.#traffic.downloaded += this.#groups.size * sealedBytes;
    const next = this.#strategy.next(this.#model, aggregate, this.#strategyState);
    this.#model = next.model;
    this.#strategyState = next.state;
  }
}

/** All who take part: the groups, and those who only help to open the sum. Errors: CONFIG_CONFLICT where somebody would be both. */
function participantsOf(groups: readonly string[], { trustees }: Protection): string[] {
  const both = trustees.find((trustee) => groups.includes(trustee));
  if (both === undefined) return [...groups, ...trustees];
  throw new PluralError('CONFIG_CONFLICT', `protection.committee: trustee "${both}" is a training group`, {
    hint: 'A trustee has no answers: name somebody else, or leave trustees out.',
  });
}

/** Trains federated, from the start or from the last stored round. */
export function trainFederated(run: RunContext): Promise<FederatedResult> {
  return new FederatedRun(run).train();
}
