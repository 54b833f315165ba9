import { PluralError } from '../../core/errors.ts';
import type { FrameHeader } from '../../wire/shard-frame.ts';
import { misplaced } from '../frames/misplaced.ts';
import type { Floats, Frame, TaskRows } from '../parts/part-session.ts';

/** One attempt of a round, as the aggregator orders it. */
export interface RoundOrder {
  readonly round: number;
  /** Counted from 0: a later one begins again where the round began. */
  readonly attempt: number;
  /** Public keys of the groups that train, in the order in which their gradients are added. */
  readonly groups: readonly string[];
  /** Learning rate of each step. */
  readonly learningRates: readonly number[];
}

/** A frame with what its header says. */
export interface OpenedFrame {
  readonly header: FrameHeader;
  readonly frame: Frame;
}

type Task =
  /** Its frame and points, which are needed again on the way back. */
  | { readonly phase: 'forward'; readonly x: Frame; readonly rows: TaskRows }
  | { readonly phase: 'backward'; readonly gradient: Floats };

/** A round and which try of it. */
export type RoundPlace = Pick<RoundOrder, 'round' | 'attempt'>;

/** Refuses what no round can be: of few groups a step would tell the gradient of each. Errors: ROUND_REFUSED. */
export function checkOrder(
  { groups, learningRates }: RoundOrder,
  { seated, least }: { readonly seated: readonly string[]; readonly least: number },
): void {
  const strange =
    new Set(groups).size !== groups.length || groups.some((group) => !seated.includes(group))
      ? 'its groups are not those of the run, each once'
      : learningRates.some((rate) => !(rate >= 0 && rate < Number.POSITIVE_INFINITY))
        ? 'a learning rate of it is none'
        : groups.length < least
          ? `it has ${groups.length} groups, and no round has fewer than ${least}`
          : null;
  if (strange !== null) throw refusedOrder(strange);
}

/** An order of the aggregator that a keeper does not carry out. */
export function refusedOrder(reason: string): PluralError {
  return new PluralError('ROUND_REFUSED', `a keeper was ordered what it does not do: ${reason}`, {
    hint: 'The aggregator and this keeper see the run differently: restart the round.',
  });
}

/** What a keeper knows of an attempt that is under way: one task of each group in each step, there and back. */
export class RoundLedger {
  readonly order: RoundOrder;
  #step = 0;
  readonly #tasks = new Map<string, Task>();
  readonly #waiting = new Map<string, OpenedFrame>();

  constructor(order: RoundOrder) {
    this.order = order;
  }

  /** Whether all steps are taken. */
  get done(): boolean {
    return this.#step === this.order.learningRates.length;
  }

  /** Refuses frames of other attempts, and of who does not train in this one. Errors: FRAME_REFUSED. */
  check({ round, attempt, group, step }: FrameHeader): void {
    const { order } = this;
    if (round !== order.round || attempt !== order.attempt) {
      throw misplaced(
        `it is of attempt ${attempt} of round ${round}, not of ${order.attempt} of ${order.round}`,
      );
    }
    if (!order.groups.includes(group)) throw misplaced('its group does not train in this round');
    if (step >= order.learningRates.length) throw misplaced(`the round has no step ${step}`);
  }

  /** Keeps a frame of the next step until this one is taken: a group is one step ahead at most. True where it was kept. */
  keepForLater(opened: OpenedFrame): boolean {
    const { step, group } = opened.header;
    if (step === this.#step) return false;
    const ready = this.#tasks.get(group)?.phase === 'backward';
    if (step !== this.#step + 1 || !ready || this.#waiting.has(group)) {
      throw misplaced(`it is of step ${step}, and step ${this.#step} is under way`);
    }
    this.#waiting.set(group, opened);
    return true;
  }

  /** Takes in the frame of a task on its way there. */
  arrived({ header, frame: x }: OpenedFrame): void {
    const { group, context, target } = header;
    if (this.#tasks.has(group)) throw misplaced('its task is here already');
    this.#tasks.set(group, { phase: 'forward', x, rows: { context, target } });
  }

  /** The frame that came of the task on its way there, for the way back. */
  onItsWay({ group, step, context, target }: FrameHeader): Frame {
    const task = this.#tasks.get(group);
    if (step !== this.#step || task?.phase !== 'forward') throw misplaced('its task is not on its way back');
    const { rows, x } = task;
    if (rows.context !== context || rows.target !== target) throw misplaced('its task had other points');
    return x;
  }

  returned(group: string, gradient: Floats): void {
    this.#tasks.set(group, { phase: 'backward', gradient });
  }

  /** Gradients of all groups in the order of the round, where they are all there; null before. */
  gradients(): readonly Floats[] | null {
    const { groups } = this.order;
    const tasks = groups.map((group) => this.#tasks.get(group));
    const gradients = tasks.flatMap((task) => (task?.phase === 'backward' ? [task.gradient] : []));
    return gradients.length === groups.length ? gradients : null;
  }

  /** Ends a step; what had come of the next one. */
  next(): readonly OpenedFrame[] {
    this.#step++;
    this.#tasks.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    return waiting;
  }

  /** Of the step that is under way. */
  get learningRate(): number {
    return this.order.learningRates[this.#step]!;
  }
}
