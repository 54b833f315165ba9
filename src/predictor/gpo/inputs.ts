import { Scratch } from '../../core/scratch.ts';
import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import type { Batch } from '../batch.ts';
import { type FeatureSource, type Feeds, GRAPH_NAMES } from '../predictor.ts';
import type { GpoRows } from './attention.ts';

/** Symbols of the graph's sizes: all points, context points, target points, rows of the feature table. */
export const ROWS = { whole: 'N', head: 'C', tail: 'T', table: 'R' } as const;

/** What a transformer is given to predict from. */
export interface TokenInputs extends GpoRows {
  /** (feature, share) of all points [N, F + 1], context first; the share of a target is 0. */
  readonly tokens: Node;
  /** Question of each target point, int32 [T]. */
  readonly questions: Node;
}

/** What it is given for a batch. */
export interface GpoInputs extends TokenInputs {
  /** Target points as float [1]. */
  readonly targetSize: Node;
  /** True share of each target point, [T]. */
  readonly targetShares: Node;
}

function tokenNode(featureWidth: number, source: FeatureSource): Node {
  if (source === 'fed') return g.input('tokens', [ROWS.whole, featureWidth + 1]);
  const type = source === 'half-table' ? 'half' : 'float';
  const table = g.input(GRAPH_NAMES.features, [ROWS.table, featureWidth], type);
  const rows = g.gatherRows(table, g.input('rows', [ROWS.whole], 'int32'));
  const shares = g.reshape(g.input('shares', [ROWS.whole]), [ROWS.whole, 1]);
  return g.concat([source === 'half-table' ? g.toFloat(rows) : rows, shares], 1);
}

/** Where the context ends, as inputs of a graph: all that a graph without features and answers is told of a batch. */
export function rowInputs(): GpoRows {
  return {
    boundary: {
      whole: ROWS.whole,
      head: ROWS.head,
      tail: ROWS.tail,
      headCount: g.input('context_count', [1], 'int64'),
      afterHead: g.input('rows_after_context', [2], 'int64'),
      beforeTail: g.input('rows_before_target', [2], 'int64'),
    },
    contextSize: g.input('context_size', [1]),
  };
}

/** The input nodes of a graph; `feedsOf` gives their values. Sizes are fed, not counted: integer operators run on the CPU whatever the device. */
export function gpoInputs(featureWidth: number, source: FeatureSource): GpoInputs {
  return {
    tokens: tokenNode(featureWidth, source),
    ...rowInputs(),
    targetSize: g.input('target_size', [1]),
    questions: g.input('target_question', [ROWS.tail], 'int32'),
    targetShares: g.input('target_share', [ROWS.tail]),
  };
}

/** Separate inputs whose sizes are read from them, for use without our code; and the context's shares [C]. */
export function standaloneInputs(featureWidth: number): TokenInputs & { readonly contextShares: Node } {
  const contextFeatures = g.input('context_features', [ROWS.head, featureWidth]);
  const contextShares = g.input('context_shares', [ROWS.head]);
  const targetFeatures = g.input('target_features', [ROWS.tail, featureWidth]);
  const questions = g.input('target_question', [ROWS.tail], 'int32');
  const zero = g.integer(0);
  const headCount = g.rowCount(contextFeatures);
  const boundary = {
    whole: ROWS.whole,
    head: ROWS.head,
    tail: ROWS.tail,
    headCount,
    afterHead: g.concat([zero, g.rowCount(targetFeatures)], 0),
    beforeTail: g.concat([headCount, zero], 0),
  };
  const contextTokens = g.concat([contextFeatures, g.reshape(contextShares, [ROWS.head, 1])], 1);
  const targetTokens = g.pad(targetFeatures, 1, 0, 1);
  const tokens = g.join(contextTokens, targetTokens, boundary);
  return { tokens, boundary, contextSize: g.toFloat(headCount), questions, contextShares };
}

function counts(...values: readonly number[]): Feeds[string] {
  return { type: 'int64', data: BigInt64Array.from(values, BigInt), dims: [values.length] };
}

function size(value: number): Feeds[string] {
  return { type: 'float32', data: Float32Array.of(value), dims: [1] };
}

/** Tokens [N, F + 1] of a batch. */
function tokensOf({ width, table, context, target }: Batch, scratch: Scratch): Feeds[string] {
  const contextCount = context.rows.length;
  const count = contextCount + target.rows.length;
  const tokens = scratch.floats('tokens', count * (width + 1));
  const put = (tableRow: number, row: number, share: number) => {
    const start = row * (width + 1);
    tokens.set(table.subarray(tableRow * width, (tableRow + 1) * width), start);
    tokens[start + width] = share;
  };
  for (const [i, row] of context.rows.entries()) put(row, i, context.probabilities[i]!);
  for (const [i, row] of target.rows.entries()) put(row, contextCount + i, 0);
  return { type: 'float32', data: tokens, dims: [count, width + 1] };
}

/** Rows of the table and shares of all points, [N] each. */
function rowFeeds({ context, target }: Batch): Feeds {
  const count = context.rows.length + target.rows.length;
  const rows = new Int32Array(count);
  rows.set(context.rows);
  rows.set(target.rows, context.rows.length);
  const shares = new Float32Array(count);
  shares.set(context.probabilities);
  return {
    rows: { type: 'int32', data: rows, dims: [count] },
    shares: { type: 'float32', data: shares, dims: [count] },
  };
}

/** What to feed to `rowInputs`: points of the context and of the targets. */
export function rowCountFeeds(context: number, target: number): Feeds {
  return {
    context_count: counts(context),
    rows_after_context: counts(0, target),
    rows_before_target: counts(context, 0),
    context_size: size(context),
  };
}

/** What to feed for a batch. `tokens` lie in the scratch memory. */
export function feedsOf(batch: Batch, source: FeatureSource = 'fed', scratch = new Scratch()): Feeds {
  const { context, target } = batch;
  const contextCount = context.rows.length;
  const targetCount = target.rows.length;
  return {
    ...(source === 'fed' ? { tokens: tokensOf(batch, scratch) } : rowFeeds(batch)),
    ...rowCountFeeds(contextCount, targetCount),
    target_size: size(targetCount),
    target_share: { type: 'float32', data: target.probabilities, dims: [targetCount] },
    target_question: { type: 'int32', data: target.questions, dims: [targetCount] },
  };
}
