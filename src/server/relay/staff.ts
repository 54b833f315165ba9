import type { Keeping } from '../../sharding/frames/seats.ts';
import type { RunRelay } from './run-relay.ts';

/** Whether somebody could keep a stage from the epoch that the others are in. */
function canTakeOver(relay: RunRelay, id: string, epoch: number): boolean {
  const status = relay.statusOf(id);
  return status?.holds === true && !status.unsettled && status.epoch === epoch;
}

/** Epoch that the keepers are in: the highest that one of those who keep a stage, or could, has settled; 0 before any said. */
export function epochOf(relay: RunRelay, keeping: Keeping): number {
  const epochs = keeping.flatMap((id) => {
    const status = relay.statusOf(id);
    return status === null ? [] : [status.unsettled ? status.epoch - 1 : status.epoch];
  });
  return Math.max(0, ...epochs);
}

/** Stages that nobody who is there can keep, in words. */
export interface Unstaffed {
  readonly stage: number;
}

/**
 * Who keeps each stage: who kept it, while it is there; otherwise the one who stands by that knows most of it. `isThere` says of whom something is heard.
 * A stage that nobody can keep is told instead.
 */
export function staffed(
  relay: RunRelay,
  keeping: Keeping,
  isThere: (id: string) => boolean,
): Keeping | Unstaffed {
  const present = keeping.filter((id) => isThere(id));
  const epoch = epochOf(relay, present);
  const next: string[] = [];
  for (const [stage, id] of keeping.entries()) {
    const fit = relay.holders(stage).filter((one) => isThere(one) && canTakeOver(relay, one, epoch));
    const round = (one: string) => relay.statusOf(one)!.round;
    const best = fit.includes(id) ? id : fit.sort((a, b) => round(b) - round(a))[0];
    if (best === undefined) return { stage };
    next.push(best);
  }
  return next;
}
