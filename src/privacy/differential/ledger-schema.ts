import { z } from 'zod';
import type { RdpCurve } from './rdp.ts';

/** What a group is willing to spend in all its rounds together, in all its runs. */
export interface Budget {
  readonly epsilon: number;
  readonly delta: number;
}

/** Entries of consecutive rounds that spend the same: a run without gaps is one of these, however long it is. */
export interface Span {
  readonly attempt: number;
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
  /** Index in `curves`. */
  readonly curve: number;
}

/** All that one group has spent. A plain value that JSON keeps to the last bit. */
export interface Ledger {
  readonly version: 1;
  readonly budget: Budget;
  readonly orders: readonly number[];
  /** The different curves of the entries, [curves][orders]. */
  readonly curves: readonly RdpCurve[];
  readonly runs: readonly { readonly run: string; readonly spans: readonly Span[] }[];
}

const count = z.int().nonnegative();

/** Order in which the spans of a run stand: by attempt, then by round. */
export function inOrder(a: Span, b: Span): number {
  return a.attempt - b.attempt || a.first - b.first;
}

function isBefore(a: Span, b: Span): boolean {
  return a.attempt < b.attempt || (a.attempt === b.attempt && a.last < b.first);
}

/** Spans in order, so that each round of an attempt is in one span at most, of curves that exist. */
function spansAreSound(spans: readonly Span[], curves: number): boolean {
  return (
    spans.every(({ first, last, curve }) => first <= last && curve < curves) &&
    spans.every((span, i) => i === 0 || isBefore(spans[i - 1]!, span))
  );
}

function isConsistent({ orders, curves, runs }: Ledger): boolean {
  return (
    curves.every(({ length }) => length === orders.length) &&
    new Set(runs.map(({ run }) => run)).size === runs.length &&
    runs.every(({ spans }) => spansAreSound(spans, curves.length))
  );
}

/** A ledger as it was stored: refuses one whose parts do not fit together. */
export const ledgerSchema: z.ZodType<Ledger> = z
  .strictObject({
    version: z.literal(1),
    budget: z.strictObject({ epsilon: z.number().positive(), delta: z.number().gt(0).lt(1) }),
    orders: z.array(z.number().gt(1)).min(1),
    curves: z.array(z.array(z.number().nonnegative())),
    runs: z.array(
      z.strictObject({
        run: z.string().regex(/^[0-9a-f]{64}$/),
        spans: z.array(z.strictObject({ attempt: count, first: count, last: count, curve: count })).min(1),
      }),
    ),
  })
  .refine(isConsistent, 'parts of the ledger contradict each other');
