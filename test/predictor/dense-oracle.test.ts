import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { emitOnnx } from '../../src/graph/emit.ts';
import * as g from '../../src/graph/ops.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import { gpoInputs } from '../../src/predictor/gpo/inputs.ts';
import { gpoLoss } from '../../src/predictor/gpo/loss.ts';
import { gpoOptions } from '../../src/predictor/gpo/options.ts';
import { ParameterViews } from '../../src/predictor/parameter-views.ts';
import { questionSoftmax } from '../../src/predictor/question-softmax.ts';
import { relativeError } from '../../src/training/vectors.ts';
import { denseTransformer } from '../support/dense-gpo.ts';
import { openGraph } from '../support/graph-session.ts';
import { batchFrom, randomQuestions } from '../support/random-batch.ts';

const FEATURE_WIDTH = 5;

/** Loss, gradient and predictions of the dense graph, as a model in float64. */
function denseGraph(given: object): Uint8Array {
  const options = gpoOptions.parse(given);
  const { layout } = gpo.create(given, { featureWidth: FEATURE_WIDTH, rows: 0 });
  const parameters = new ParameterViews(layout);
  const inputs = gpoInputs(FEATURE_WIDTH, 'fed');
  const hidden = g.input('hidden', [1, inputs.boundary.whole]);
  const output = denseTransformer(inputs, hidden, inputs.boundary, options, (name) =>
    parameters.tensor(name),
  );
  const predicted = questionSoftmax(output.location, inputs.questions);
  const loss = gpoLoss(inputs, predicted, output, options);
  return emitOnnx(
    { loss, gradient: parameters.gradientOf(loss), probabilities: predicted.probabilities },
    { name: 'dense', precision: 'float64' },
  );
}

describe.each(['post', 'pre'] as const)('with norm %s', (norm) => {
  test.each([
    ['nll', 1, 1],
    ['nll', 7, 5],
    ['kl', 3, 9],
  ] as const)(
    'loss %s, %d context and %d target questions: what the graph saves changes nothing',
    async (loss, told, asked) => {
      const options = { width: 12, layers: 3, heads: 3, feedforward: 10, embedderLayers: 2, norm, loss };
      const predictor = gpo.create(options, { featureWidth: FEATURE_WIDTH, rows: 0 });
      const questions = randomQuestions(told, told + asked, FEATURE_WIDTH);
      const batch = batchFrom(FEATURE_WIDTH, questions.slice(0, told), questions.slice(told));
      const random = randomStream(3, 'dense');
      const parameters = Float64Array.from(
        predictor.initialise((tensor) => randomStream(3, tensor)),
        (value) => value + 0.1 * random.normal(),
      );
      const count = batch.context.rows.length + batch.target.rows.length;
      const hidden = Float32Array.from({ length: count }, (_, row) =>
        Number(row >= batch.context.rows.length),
      );
      const feeds = {
        ...predictor.feeds(batch),
        hidden: { type: 'float32' as const, data: hidden, dims: [1, count] },
      };
      const [dense, training, prediction] = await Promise.all(
        [
          denseGraph(options),
          predictor.trainingGraph({ precision: 'float64' }),
          predictor.predictionGraph({ precision: 'float64' }),
        ].map((model) => openGraph(model, 'float64')),
      );
      const expected = await dense!.run(feeds, parameters);
      const trained = await training!.run(feeds, parameters);
      const predicted = await prediction!.run(feeds, parameters);
      expect(relativeError(trained['loss']!, expected['loss']!)).toBeLessThan(1e-12);
      expect(relativeError(trained['gradient']!, expected['gradient']!)).toBeLessThan(1e-10);
      expect(relativeError(predicted['probabilities']!, expected['probabilities']!)).toBeLessThan(1e-12);
      for (const session of [dense!, training!, prediction!]) await session.close();
    },
  );
});
