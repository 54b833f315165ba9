import type { FrameHeader } from '../../wire/shard-frame.ts';
import type { Keeping } from '../frames/seats.ts';
import type { Stage } from '../parts/stage.ts';
import { boundedGradients, checkGradient } from './gradients.ts';
import type { Outgoing } from './outgoing.ts';
import { type OpenedFrame, RoundLedger, type RoundOrder } from './round-ledger.ts';

/** With what a round is trained. */
export interface TrainingMeans {
  readonly stage: Stage;
  readonly outgoing: Outgoing;
  readonly keeping: Keeping;
}

/** An attempt of a round at one stage: tasks go there and back, and once those of all groups came back the stage takes a step. */
export class RoundTraining {
  readonly #means: TrainingMeans;
  readonly #ledger: RoundLedger;

  constructor(order: RoundOrder, means: TrainingMeans) {
    this.#means = means;
    this.#ledger = new RoundLedger(order);
  }

  /** Whether all steps are taken. */
  get done(): boolean {
    return this.#ledger.done;
  }

  /** Refuses frames of other attempts, and of who does not train in this one. Errors: FRAME_REFUSED. */
  check(header: FrameHeader): void {
    this.#ledger.check(header);
  }

  /** Takes in a frame of a task; those that follow from it. Errors: FRAME_REFUSED, NOT_FINITE, ENGINE_FAILED. */
  async take(opened: OpenedFrame): Promise<readonly Uint8Array[]> {
    if (opened.header.kind === 'backward') return this.#back(opened);
    return this.#ledger.keepForLater(opened) ? [] : [await this.#there(opened)];
  }

  async #there(opened: OpenedFrame): Promise<Uint8Array> {
    this.#ledger.arrived(opened);
    const { stage, outgoing, keeping } = this.#means;
    const { header, frame } = opened;
    return outgoing.passedOn(await stage.forward(frame, header), header, keeping);
  }

  async #back({ header, frame }: OpenedFrame): Promise<readonly Uint8Array[]> {
    const { stage, outgoing, keeping } = this.#means;
    const x = this.#ledger.onItsWay(header);
    const { dx, gradient } = await stage.differentiate(x, frame, header);
    checkGradient(gradient);
    this.#ledger.returned(header.group, gradient);
    const back = outgoing.sealed(dx, 'backward', header, outgoing.back(keeping, header.group));
    return [back, ...(await this.#endStep())];
  }

  /** Once all groups' gradients are there: the step, and what had come of the next one. */
  async #endStep(): Promise<readonly Uint8Array[]> {
    const { stage } = this.#means;
    const gradients = this.#ledger.gradients();
    if (gradients === null) return [];
    for (const gradient of boundedGradients(gradients)) stage.add(gradient);
    stage.step(this.#ledger.learningRate);
    const sent = [];
    for (const waiting of this.#ledger.next()) sent.push(await this.#there(waiting));
    return sent;
  }
}
