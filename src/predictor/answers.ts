import type { Node } from '../graph/node.ts';
import * as g from '../graph/ops.ts';
import type { Batch } from './batch.ts';
import type { Feeds } from './predictor.ts';

/** Symbols of the graph's sizes: context points and target points. */
const SIZES = { context: 'C', target: 'T' } as const;

/** What a predictor with a memory is told of a batch: which rows its points are, and what was answered to the context. */
export interface AnswerInputs {
  /** Row of the memory of each point, int32 [C] and [T]. */
  readonly rows: { readonly context: Node; readonly target: Node };
  /** Question of each context point, int32 [C]. */
  readonly contextQuestions: Node;
  /** The group's share of each context point, [C]. */
  readonly contextShares: Node;
}

/** The input nodes of a graph; `answerFeeds` gives their values. */
export function answerInputs(): AnswerInputs {
  return {
    rows: {
      context: g.input('context_rows', [SIZES.context], 'int32'),
      target: g.input('target_rows', [SIZES.target], 'int32'),
    },
    contextQuestions: g.input('context_question', [SIZES.context], 'int32'),
    contextShares: g.input('context_share', [SIZES.context]),
  };
}

function ints(data: Int32Array): Feeds[string] {
  return { type: 'int32', data, dims: [data.length] };
}

/** What to feed for a batch, with the true shares and questions of its targets. */
export function answerFeeds({ context, target }: Batch): Feeds {
  const floats = (data: Float32Array): Feeds[string] => ({ type: 'float32', data, dims: [data.length] });
  return {
    context_rows: ints(context.rows),
    context_question: ints(context.questions),
    context_share: floats(context.probabilities),
    target_rows: ints(target.rows),
    target_question: ints(target.questions),
    target_share: floats(target.probabilities),
  };
}
