import { invariant, PluralError } from '../../core/errors.ts';
import { type Budget, inOrder, type Ledger, type Span } from './ledger-schema.ts';
import { DEFAULT_ORDERS, epsilonOf, type RdpCurve } from './rdp.ts';

/** One attempt at a round that a group takes part in: it spends also if the round fails later. */
export interface LedgerEntry {
  /** Digest of the run's definition, 64 hex digits. */
  readonly run: string;
  readonly round: number;
  readonly attempt: number;
  /** What the attempt spends, at the ledger's orders; finite. */
  readonly rdp: RdpCurve;
}

/** A ledger in which nothing is spent. */
export function openLedger(budget: Budget, orders: readonly number[] = DEFAULT_ORDERS): Ledger {
  return { version: 1, budget, orders, curves: [], runs: [] };
}

/** RDP of everything in the ledger, [orders]. */
function totalRdp({ orders, curves, runs }: Ledger): number[] {
  const counts = curves.map(() => 0);
  for (const { spans } of runs) {
    for (const { first, last, curve } of spans) counts[curve]! += last - first + 1;
  }
  return orders.map((_, order) => curves.reduce((sum, curve, i) => sum + curve[order]! * counts[i]!, 0));
}

/** Epsilon of all entries together, at the budget's delta; 0 for none. */
export function spentEpsilon(ledger: Ledger): number {
  // The conversion gives more than 0 also for no loss at all: it cannot tell that from a small one.
  if (ledger.runs.length === 0) return 0;
  return epsilonOf({ orders: ledger.orders, rdp: totalRdp(ledger), delta: ledger.budget.delta });
}

function isSame(a: RdpCurve, b: RdpCurve): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function spansOf(ledger: Ledger, run: string): readonly Span[] {
  return ledger.runs.find((other) => other.run === run)?.spans ?? [];
}

/** The spans with one round more: what touches it and spends the same becomes one span with it. */
function withRound(spans: readonly Span[], added: Span): Span[] {
  const touches = ({ attempt, curve, first, last }: Span) =>
    attempt === added.attempt && curve === added.curve && first <= added.last + 1 && last >= added.first - 1;
  const merged = spans.filter(touches);
  const first = Math.min(added.first, ...merged.map((span) => span.first));
  const last = Math.max(added.last, ...merged.map((span) => span.last));
  return [...spans.filter((span) => !touches(span)), { ...added, first, last }].sort(inOrder);
}

function withEntry(ledger: Ledger, { run, round, attempt, rdp }: LedgerEntry): Ledger {
  const known = ledger.curves.findIndex((curve) => isSame(curve, rdp));
  const curves = known < 0 ? [...ledger.curves, [...rdp]] : ledger.curves;
  const added = { attempt, first: round, last: round, curve: known < 0 ? curves.length - 1 : known };
  const spans = withRound(spansOf(ledger, run), added);
  const isNew = ledger.runs.every((other) => other.run !== run);
  const runs = isNew
    ? [...ledger.runs, { run, spans }]
    : ledger.runs.map((other) => (other.run === run ? { run, spans } : other));
  return { ...ledger, curves, runs };
}

function checkEntry(ledger: Ledger, { run, round, attempt, rdp }: LedgerEntry): void {
  invariant(/^[0-9a-f]{64}$/.test(run), `run "${run}" in a ledger`);
  invariant(Number.isSafeInteger(round) && round >= 0, `round ${round} in a ledger`);
  invariant(Number.isSafeInteger(attempt) && attempt >= 0, `attempt ${attempt} in a ledger`);
  invariant(rdp.length === ledger.orders.length, `${rdp.length} bounds at ${ledger.orders.length} orders`);
  invariant(
    rdp.every((value) => value >= 0 && value < Number.POSITIVE_INFINITY),
    'RDP that is finite',
  );
}

const shown = (epsilon: number): number => Number(epsilon.toPrecision(6));

function refusal(ledger: Ledger, after: Ledger, { run, round, attempt }: LedgerEntry): PluralError {
  const { epsilon, delta } = ledger.budget;
  const what = `round ${round}, attempt ${attempt} of run ${run.slice(0, 12)}`;
  return new PluralError(
    'PRIVACY_BUDGET_SPENT',
    `epsilon ${shown(spentEpsilon(ledger))} is spent, ${what} would make it ${shown(spentEpsilon(after))}, ` +
      `and the budget is ${shown(epsilon)} at delta ${delta}`,
    {
      hint: 'Take part in no further rounds, or in rounds with more noise. What is spent stays spent: only a larger budget, which is for the group to decide, allows more.',
    },
  );
}

/**
 * The ledger with the entry. An entry that is in it already changes nothing, so a retried step is not paid twice.
 * Errors: PRIVACY_BUDGET_SPENT if all entries together would exceed the budget; INTERNAL if the same attempt was
 * entered with another RDP. Record the result before the noised update leaves the group.
 */
export function spend(ledger: Ledger, entry: LedgerEntry): Ledger {
  checkEntry(ledger, entry);
  const earlier = spansOf(ledger, entry.run).find(
    ({ attempt, first, last }) => attempt === entry.attempt && first <= entry.round && entry.round <= last,
  );
  if (earlier !== undefined) {
    invariant(isSame(ledger.curves[earlier.curve]!, entry.rdp), `round ${entry.round} spends one amount`);
    return ledger;
  }
  const after = withEntry(ledger, entry);
  if (spentEpsilon(after) > ledger.budget.epsilon) throw refusal(ledger, after, entry);
  return after;
}
