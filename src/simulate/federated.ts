import { z } from 'zod';
import { roundPlugins } from '../config/config.ts';
import { asStage } from '../core/brand.ts';
import { bytesOf } from '../core/bytes.ts';
import { forEachOrdered } from '../core/concurrent.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import type { Fold, Protection } from '../privacy/protection.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  type AggregatorState,
  newRun,
  roundFailure,
  stepAggregator,
} from '../round/aggregator.ts';
import { newGroup, stepGroup } from '../round/group.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { shareFloats } from '../training/shared-data.ts';
import { makeModel } from '../wire/model.ts';
import type { Model, Submission } from '../wire/stages.ts';
import { decodeSubmission, encodeSubmission } from '../wire/submission.ts';
import { evaluateModel, evaluatePoint, evaluationDue, type RunContext } from './context.ts';
import {
  type CheckpointStore,
  checkpointStore,
  freshProgress,
  type Progress,
  storedFloats,
} from './progress.ts';

const METHOD = 'federated';

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

const stateSchema = z.object({
  aggregator: z.custom<AggregatorState>((value) => typeof value === 'object' && value !== null),
  parameters: storedFloats,
  traffic: z.object({ uploaded: z.number(), downloaded: z.number() }),
  /** What the model was trained on. */
  features: z.object({ width: z.int(), digest: z.string() }),
});
type StoredState = z.output<typeof stateSchema>;

/** The checkpoints of federated training; `fingerprint` null reads those of any settings. */
export function federatedStore(folder: string, fingerprint: string | null): CheckpointStore<StoredState> {
  return checkpointStore(folder, METHOD, fingerprint, stateSchema);
}

/** The parameters that every method of an experiment starts from. */
export function initialModel({ experiment }: Pick<RunContext, 'experiment'>): Model {
  const { predictor, config } = experiment;
  return makeModel(
    0,
    predictor.initialise((tensor) => randomStream(config.seed, 'initialise', tensor)),
  );
}

/**
 * A whole federated run in one process. It carries out the effects of the aggregator's state machine and of the
 * groups' machines, and plays the network between them; what is decided, is decided in round/.
 */
class FederatedRun {
  readonly #run: RunContext;
  readonly #protection: Protection;
  readonly #strategy: Strategy;
  readonly #store: CheckpointStore<StoredState>;
  readonly #groupIndex: ReadonlyMap<string, number>;
  readonly #heldOut: ReadonlySet<number>;
  readonly #effects: AggregatorEffect[] = [];
  #aggregator: AggregatorState;
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
    this.#store = federatedStore(folder, fingerprint);
    this.#groupIndex = new Map(trainingGroups.map((group) => [survey.groups[group]!.id, group]));
    this.#heldOut = new Set(experiment.heldOutQuestions);
    this.#aggregator = newRun({ rounds: config.training.rounds, quorum: trainingGroups.length });
    this.#model = initialModel(run);
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
      this.#traffic = stored.state.traffic;
      this.#model = makeModel(stored.progress.round, stored.state.parameters);
    }
    this.#tellBegin();
    if (stored !== null) return this.#deliver({ type: 'folded', round: this.#progress.round });
    await evaluatePoint(this.#run, METHOD, this.#model.parameters, this.#progress, 0);
    for (const group of this.#groupIndex.keys()) this.#deliver({ type: 'join', group });
    this.#deliver({ type: 'start' });
  }

  #tellBegin(): void {
    const { round } = this.#progress;
    const { rounds } = this.#run.experiment.config.training;
    this.#run.emit({ type: 'begin', method: METHOD, label: 'federated', round, rounds });
  }

  #deliver(message: AggregatorMessage): void {
    const { state, effects } = stepAggregator(this.#aggregator, message);
    this.#aggregator = state;
    this.#effects.push(...effects);
  }

  async #carryOut(effect: AggregatorEffect): Promise<void> {
    switch (effect.type) {
      case 'announce':
        return this.#trainRound(effect.round, effect.participants);
      case 'fold':
        return this.#finishRound(effect.round);
      case 'fail':
        throw roundFailure(effect.reason);
      case 'refuse':
        throw new PluralError('ROUND_REFUSED', `group "${effect.group}" was refused: ${effect.reason}`);
      case 'acknowledge':
      case 'finish':
        return;
    }
  }

  /** All participants train in parallel; each submission is added as it comes, so memory does not grow with them. */
  async #trainRound(round: number, participants: readonly string[]): Promise<void> {
    const started = performance.now();
    const before = this.#progress.seconds.aggregate;
    const shared = shareFloats(this.#model.parameters);
    this.#fold = this.#protection.fold(round, shared.length);
    this.#roundLosses = [];
    await forEachOrdered(
      participants,
      2 * this.#run.pool.workers,
      (group) => this.#trainGroup(group, round, participants, shared),
      ({ submission, loss }) => {
        this.#roundLosses.push(loss);
        this.#receive(submission);
      },
    );
    const aggregated = this.#progress.seconds.aggregate - before;
    this.#progress.seconds.train += (performance.now() - started) / 1000 - aggregated;
  }

  /** One group's part of a round: announced, trained, protected, sent. */
  async #trainGroup(
    group: string,
    round: number,
    participants: readonly string[],
    received: Float32Array,
  ): Promise<{ submission: Submission; loss: number }> {
    const { experiment, pool } = this.#run;
    const { localSteps, rounds } = experiment.config.training;
    const announced = stepGroup(newGroup(group), { type: 'announced', round, participants });
    invariant(announced.effects[0]?.type === 'train', 'an announced group trains');
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
    const trained = stepGroup(announced.state, { type: 'trained', round });
    invariant(trained.effects[0]?.type === 'submit', 'a trained group submits');
    const submission = this.#timed(() => this.#protect(group, round, received, result.parameters));
    return { submission, loss: result.loss };
  }

  #protect(group: string, round: number, received: Float32Array, trained: Float32Array): Submission {
    const { survey } = this.#run.experiment;
    const answers = survey.answers[this.#groupIndex.get(group)!]!;
    const questions = answers.filter(({ question }) => !this.#heldOut.has(question)).length;
    const delta = trained.map((value, index) => value - received[index]!);
    const weight = this.#strategy.weightOf({ questions });
    return encodeSubmission(this.#protection.protect(asStage({ group, round, weight, delta })));
  }

  #receive({ group, round, digest, bytes }: Submission): void {
    this.#traffic.uploaded += bytes.byteLength;
    this.#traffic.downloaded += this.#model.parameters.byteLength;
    this.#timed(() => this.#fold!.add(decodeSubmission(bytes)));
    this.#deliver({ type: 'submission', group, round, digest });
  }

  #timed<Result>(work: () => Result): Result {
    const started = performance.now();
    const result = work();
    this.#progress.seconds.aggregate += (performance.now() - started) / 1000;
    return result;
  }

  async #finishRound(round: number): Promise<void> {
    const { experiment, emit } = this.#run;
    const { rounds, localSteps } = experiment.config.training;
    this.#model = this.#timed(() => this.#strategy.next(this.#model, this.#fold!.finish()));
    const loss = meanOf(this.#roundLosses);
    this.#progress.round = round;
    this.#progress.losses.push(loss);
    emit({ type: 'round', method: METHOD, round, rounds, loss });
    if (evaluationDue(experiment, round)) {
      const { parameters } = this.#model;
      const evaluated = await evaluatePoint(
        this.#run,
        METHOD,
        parameters,
        this.#progress,
        round * localSteps,
      );
      this.#evaluated = round === rounds ? evaluated : undefined;
    }
    const { width, digest } = experiment.features;
    this.#store.save(this.#progress, {
      features: { width, digest },
      aggregator: JSON.parse(JSON.stringify(this.#aggregator)),
      parameters: bytesOf(this.#model.parameters),
      traffic: { ...this.#traffic },
    });
    this.#deliver({ type: 'folded', round });
  }
}

/** Trains federated, from the start or from the last stored round. */
export function trainFederated(run: RunContext): Promise<FederatedResult> {
  return new FederatedRun(run).train();
}
