import { openLedger, spend } from '../privacy/differential/ledger.ts';
import type { Guarantee } from '../privacy/protection.ts';
import type { GroupStore } from './group-record.ts';

/** An opening of a round of a run. */
export interface Spent {
  /** Digest of the run. */
  readonly run: string;
  readonly round: number;
  readonly attempt: number;
}

/**
 * Enters what an opening of a round spends in the group's ledger, before anything that spends it leaves the group; `dry` only looks
 * whether it may. A group that set no budget spends what the first such run plans, and no more. Errors: PRIVACY_BUDGET_SPENT.
 */
export function spendRound(store: GroupStore, guarantee: Guarantee, spent: Spent, dry: boolean): void {
  const { epsilons, delta, rdpPerRound } = guarantee;
  const ledger = store.loadLedger() ?? openLedger({ epsilon: epsilons.at(-1)!, delta });
  const after = spend(ledger, { ...spent, rdp: rdpPerRound });
  if (!dry && after !== ledger) store.saveLedger(after);
}
