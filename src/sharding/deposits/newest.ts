/** The newest may not be whole: whoever is lost in the middle of it leaves the one before. */
export const DEPOSITS_KEPT = 2;

/** When a deposit was made. */
export interface Dated {
  readonly epoch: number;
  readonly round: number;
}

/**
 * Which deposits of one stage are kept, the newest first: of the latest epoch alone, since a stage of two epochs gives away what lies between them, and of that those of
 * the latest rounds. `deposits` are in the order in which they came; of one round the last counts as newer.
 */
export function newestOf<Deposit extends Dated>(deposits: readonly Deposit[]): Deposit[] {
  const epoch = Math.max(...deposits.map((one) => one.epoch));
  const current = deposits.filter((one) => one.epoch === epoch).reverse();
  return current.sort((a, b) => b.round - a.round).slice(0, DEPOSITS_KEPT);
}
