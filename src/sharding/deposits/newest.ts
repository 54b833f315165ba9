/** The newest may not be whole: whoever is lost in the middle of it leaves the one before. */
export const DEPOSITS_KEPT = 2;

/** When a deposit was made. */
export interface Dated {
  readonly epoch: number;
  readonly round: number;
}

/** A deposit, or what goes with one, and who left it. */
export interface Left extends Dated {
  readonly from: string;
}

/**
 * Which deposits of one stage are kept, the newest first: of the latest epoch alone, since a stage of two epochs gives away what lies between them; of that before all others those of who left the last one,
 * for what somebody said of rounds who kept the stage before must not stand in the way of who does now; and of those the ones of the latest rounds. `deposits` are in the order in which they came; of one
 * round the last counts as newer.
 */
export function newestOf<Deposit extends Left>(deposits: readonly Deposit[]): Deposit[] {
  const epoch = Math.max(...deposits.map((one) => one.epoch));
  const current = deposits.filter((one) => one.epoch === epoch).reverse();
  const isNow = (one: Deposit) => Number(one.from === current[0]?.from);
  return current.sort((a, b) => isNow(b) - isNow(a) || b.round - a.round).slice(0, DEPOSITS_KEPT);
}
