import type { Keeping } from '../../sharding/frames/seats.ts';
import type { RunRelay } from './run-relay.ts';

/** Far more trainings than one keeper takes part in without the others. */
const MOST_AHEAD = 1000;

/** Whether somebody could keep a stage from the epoch that the others are in. */
export function canTakeOver(relay: RunRelay, id: string, { epoch, round }: Standing): boolean {
  const status = relay.statusOf(id);
  const fits = status?.holds === true && !status.unsettled && status.epoch === epoch;
  return fits && canBelieve(status.round, round);
}

/** Whether the others can go on from a round that one of them counts: theirs never go back. */
export function canBelieve(round: number, standing: number): boolean {
  return round <= standing + MOST_AHEAD;
}

/** Where keepers stand as most of them say: what one says alone moves nobody else. */
export interface Standing {
  readonly epoch: number;
  readonly round: number;
}

/**
 * The epoch that most keepers have settled, the highest of several, and the round in their middle. `kept`: the last epoch that was decided to be kept, which is theirs before any said another; of two who
 * say different ones, one alone could have moved the other beyond it.
 */
export function standingOf(relay: RunRelay, keeping: Keeping, kept: number): Standing {
  const statuses = keeping.flatMap((id) => relay.statusOf(id) ?? []);
  const said = statuses.map(({ epoch, unsettled }) => (unsettled ? epoch - 1 : epoch));
  const epochs = said.filter((epoch) => epoch <= kept);
  const votes = (epoch: number) => epochs.filter((one) => one === epoch).length;
  const [epoch = kept] = epochs.sort((a, b) => votes(b) - votes(a) || b - a);
  const rounds = statuses.map(({ round }) => round).sort((a, b) => a - b);
  return { epoch, round: rounds[(rounds.length - 1) >> 1] ?? 0 };
}

/** The epoch that all keepers have settled; null where they do not all say the same: what a group seals for another one no keeper opens. */
export function epochOf(relay: RunRelay, keeping: Keeping): number | null {
  const [first, ...others] = keeping.map((id) => relay.statusOf(id));
  if (first == null || first.unsettled) return null;
  const same = others.every((status) => status?.epoch === first.epoch && !status.unsettled);
  return same ? first.epoch : null;
}

/** The highest round that a keeper counts, as far as the others can believe it: theirs go on from it and never back. */
export function lastRound(rounds: readonly number[]): number | null {
  const sorted = [...rounds].sort((a, b) => a - b);
  const middle = sorted[(sorted.length - 1) >> 1];
  const highest = sorted.at(-1);
  if (middle === undefined || highest === undefined) return 0;
  return canBelieve(highest, middle) ? highest : null;
}

/** Stages that nobody who is there can keep, in words. */
export interface Unstaffed {
  readonly stage: number;
}

/**
 * Who keeps each stage: who kept it, while it is there; otherwise of those who stand by and have links with who keeps the others the one that knows most of it. `isThere` says of whom something is heard.
 * A stage that nobody can keep is told instead.
 */
export function staffed(
  relay: RunRelay,
  keeping: Keeping,
  isThere: (id: string) => boolean,
  kept: number,
): Keeping | Unstaffed {
  const present = keeping.filter((id) => isThere(id));
  const standing = standingOf(relay, present, kept);
  const next: string[] = [];
  for (const [stage, id] of keeping.entries()) {
    const stay = keeping.slice(stage + 1).filter((one) => isThere(one) && canTakeOver(relay, one, standing));
    const others = [...next, ...stay];
    const isMet = (one: string) => one === id || !others.some((other) => areStrangers(relay, one, other));
    const fits = (one: string) => isThere(one) && canTakeOver(relay, one, standing) && isMet(one);
    const fit = relay.holders(stage).filter(fits);
    const round = (one: string) => relay.statusOf(one)!.round;
    const best = fit.includes(id) ? id : fit.sort((a, b) => round(b) - round(a))[0];
    if (best === undefined) return { stage };
    next.push(best);
  }
  return next;
}

/**
 * Whether two cannot work with each other yet: who came later was not greeted back. Its word alone counts, for the other one has the link before it answers, and those who were there from
 * the beginning have theirs: what a keeper says of whom it knows keeps nobody else from taking over.
 */
export function areStrangers(relay: RunRelay, one: string, other: string): boolean {
  const { newcomers } = relay.told;
  const place = (id: string) => newcomers.findIndex(({ seat }) => seat.id === id);
  const [earlier, later] = place(one) < place(other) ? [one, other] : [other, one];
  return place(later) >= 0 && relay.statusOf(later)?.strangers.includes(earlier) === true;
}
