import { participationOf, roundGroups } from '../config/round-groups.ts';
import { asStage } from '../core/brand.ts';
import { invariant, PluralError } from '../core/errors.ts';
import type { Protection, RoundContext } from '../privacy/protection.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  outstandingEffects,
  stepAggregator,
} from '../round/aggregator.ts';
import { type AggregatorState, newRun } from '../round/aggregator-state.ts';
import { type GroupEffect, type GroupMessage, type GroupState, newGroup, stepGroup } from '../round/group.ts';
import type { Aggregate, Model, ProtectedUpdate, Submission, Update } from '../wire/stages.ts';
import { checkOrigin, decodeSubmission, encodeSubmission } from '../wire/submission.ts';
import type { RunContext } from './context.ts';
import { RoundParts } from './round-parts.ts';

/** The aggregator asks groups for their part in a step. */
export type Ask = Extract<AggregatorEffect, { type: 'ask' }>;

/** What was sent, summed over groups and rounds, in bytes. */
export interface Traffic {
  uploaded: number;
  downloaded: number;
}

/** What a network is made of. */
interface NetworkOptions {
  /** Fingerprint of the run. */
  readonly run: string;
  readonly seed: number;
  readonly protection: Protection;
  /** The aggregator's machine before anybody joined. */
  readonly aggregator: AggregatorState;
  /** All who take part: the groups that train and the trustees. */
  readonly participants: readonly string[];
}

/**
 * The aggregator's state machine and the groups' machines in one process, and the network between them: what a
 * group sends is encoded, counted and decoded as if it travelled. What the aggregator then has to do waits in line.
 */
export class Network {
  readonly #options: NetworkOptions;
  readonly #groups: Map<string, GroupState>;
  readonly #effects: AggregatorEffect[] = [];
  #aggregator: AggregatorState;
  #traffic: Traffic = { uploaded: 0, downloaded: 0 };
  /** The attempt under way. */
  #round: { readonly parts: RoundParts; readonly context: RoundContext } | undefined;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#aggregator = options.aggregator;
    this.#groups = new Map(options.participants.map((group) => [group, newGroup(group)]));
  }

  get aggregator(): AggregatorState {
    return this.#aggregator;
  }

  get traffic(): Readonly<Traffic> {
    return { ...this.#traffic };
  }

  /** Everybody joins, and the first round is asked for. */
  start(): void {
    for (const group of this.#groups.keys()) this.deliver({ type: 'join', group });
    this.deliver({ type: 'start' });
  }

  /** Goes on from what was stored, in place of `start`. */
  resume(aggregator: AggregatorState, traffic: Traffic): void {
    this.#aggregator = aggregator;
    this.#traffic = { ...traffic };
    this.#effects.push(...outstandingEffects(aggregator));
  }

  /** The next that the aggregator has to do; undefined where nothing is left. */
  nextEffect(): AggregatorEffect | undefined {
    return this.#effects.shift();
  }

  deliver(message: AggregatorMessage): void {
    this.#effects.push(...this.#step(message));
  }

  /** Begins a step: the first opens the round from a model, the others end the one before. */
  beginStep({ round, attempt, step }: Ask, { digest: model, parameters }: Model): void {
    if (step === 0) {
      const { protection, seed, run } = this.#options;
      const context = { run, round, attempt, model, parameters: parameters.length };
      this.#round = { parts: new RoundParts(protection, context, seed), context };
    } else this.#parts().close(this.#aggregator, step - 1);
  }

  /** A group is asked, works, and sends; `update`: null in the steps that take none. Errors: ROUND_REFUSED, and those of the protection. */
  exchange(group: string, ask: Ask, update: Update | null): void {
    this.#receive(this.#answer(group, ask, update));
  }

  /** Counts what a group exchanged with others of its side while it trained. */
  countFrames({ sent, received }: { readonly sent: number; readonly received: number }): void {
    this.#traffic.uploaded += sent;
    this.#traffic.downloaded += received;
  }

  /** Counts what groups fetched besides what they are shown in a step. */
  countDownload(bytes: number): void {
    this.#traffic.downloaded += bytes;
  }

  /** Ends the last step of a round. Why the sum cannot be opened; null where it can. */
  endRound(): string | null {
    this.#parts().close(this.#aggregator, this.#options.protection.steps.length - 1);
    return this.#parts().lacks();
  }

  /** The sum of the round that ended. */
  aggregate(): Aggregate {
    const { aggregate, sealedBytes } = this.#parts().finish();
    this.countDownload(this.#groups.size * sealedBytes);
    return aggregate;
  }

  /** The run is over for all groups. */
  finish(): void {
    for (const group of this.#groups.keys()) this.#tellGroup(group, { type: 'finished' });
  }

  #step(message: AggregatorMessage): readonly AggregatorEffect[] {
    const { state, effects } = stepAggregator(this.#aggregator, message);
    this.#aggregator = state;
    return effects;
  }

  #tellGroup(group: string, message: GroupMessage): readonly GroupEffect[] {
    const { state, effects } = stepGroup(this.#groups.get(group)!, message);
    this.#groups.set(group, state);
    return effects;
  }

  /** What a group sends in a step: asked, worked on, protected. */
  #answer(group: string, { round, attempt, step }: Ask, update: Update | null): Submission {
    const [work] = this.#tellGroup(group, { type: 'asked', round, attempt, step });
    invariant(work?.type === 'work', 'a group that is asked works');
    const { payload, shownBytes } = this.#parts().answer(step, group, update);
    this.countDownload(shownBytes);
    const protection = this.#options.protection.name;
    const reply: ProtectedUpdate = asStage({ group, round, protection, payload });
    const [send] = this.#tellGroup(group, { type: 'done', round, attempt, step });
    invariant(send?.type === 'send', 'a group that is done sends');
    return encodeSubmission(reply, { ...this.#origin(), step });
  }

  /** What comes in is added only when the machine has accepted it, and accepted it for the first time. */
  #receive({ digest, bytes }: Submission): void {
    this.#traffic.uploaded += bytes.byteLength;
    const received = decodeSubmission(bytes);
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
    if (!answer.repeated) this.#parts().add(origin.step, update);
    this.#tellGroup(group, { ...answer, attempt, type: 'acknowledged' });
    this.#effects.push(...rest);
  }

  #parts(): RoundParts {
    return this.#round!.parts;
  }

  /** Run and model that the updates of the round under way belong to. */
  #origin(): { run: string; model: string } {
    const { run, model } = this.#round!.context;
    return { run, model };
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

/** The network of a run, before anybody joined; `groups`: ids of those that train. Errors: CONFIG_CONFLICT where one of them is a trustee. */
export function networkOf(run: RunContext, protection: Protection, groups: readonly string[]): Network {
  const { config } = run.experiment;
  const aggregator = newRun({
    rounds: config.training.rounds,
    quorum: roundGroups(config, protection),
    steps: protection.steps,
    participation: participationOf(config),
  });
  const participants = participantsOf(groups, protection);
  return new Network({ run: run.fingerprint, seed: config.seed, protection, aggregator, participants });
}
