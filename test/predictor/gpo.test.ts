import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import { entryOf, tensorOf } from '../../src/predictor/layout.ts';
import { GRAPH_NAMES } from '../../src/predictor/predictor.ts';
import { PREDICTORS, predictorKind } from '../../src/predictor/table.ts';
import { predictorConformance } from '../conformance/predictor.ts';
import { openGraph } from '../support/graph-session.ts';
import { ort } from '../support/ort.ts';
import { batchFrom, featuresOf, randomQuestions } from '../support/random-batch.ts';

const SMALL = { width: 8, heads: 2, feedforward: 6, embedderLayers: 2 };

for (const layers of [1, 2]) {
  for (const norm of ['post', 'pre']) {
    for (const loss of ['nll', 'kl']) {
      for (const stdFloor of [0, 0.01]) {
        predictorConformance({ kind: gpo, options: { ...SMALL, layers, norm, loss, stdFloor } });
      }
    }
  }
}

const FEATURE_WIDTH = 3;
const streams = (seed: number) => (tensor: string) => randomStream(seed, tensor);

describe('the table', () => {
  test('has it, and suggests it', () => {
    expect(PREDICTORS).toContain(gpo);
    expect(predictorKind('gpo')).toBe(gpo);
    expect(() => predictorKind('gpoo')).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', hint: 'Did you mean "gpo"?' }),
    );
  });
});

describe('options', () => {
  test('the defaults at the paper’s feature width give the paper’s number of parameters', () => {
    expect(gpo.create({}, { featureWidth: 4096, rows: 0 }).layout.size).toBe(1_188_354);
  });

  test('heads that do not divide the width are CONFIG_INVALID', () => {
    expect(() => gpo.create({ width: 10, heads: 4 }, { featureWidth: 3, rows: 0 })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('10') }),
    );
  });
});

describe('initialisation, as torch does it', () => {
  const options = { width: 64, heads: 4, feedforward: 48, layers: 2, norm: 'pre' };
  const { layout, initialise } = gpo.create(options, { featureWidth: 31, rows: 0 });
  const flat = initialise(streams(11));
  const tensor = (name: string) => tensorOf(layout, flat, name);

  /** Bounds of the uniform distributions: Linear 1/sqrt(in), attention's input sqrt(6 / (rows + columns)). */
  const BOUNDS: readonly (readonly [name: string, bound: number])[] = [
    ['embedder.0.weight', 1 / Math.sqrt(32)],
    ['embedder.0.bias', 1 / Math.sqrt(32)],
    ['embedder.2.weight', 1 / Math.sqrt(64)],
    ['encoder.layers.1.self_attn.in_proj_weight', Math.sqrt(6 / (3 * 64 + 64))],
    ['encoder.layers.1.self_attn.out_proj.weight', 1 / Math.sqrt(64)],
    ['encoder.layers.0.linear1.weight', 1 / Math.sqrt(64)],
    ['encoder.layers.0.linear1.bias', 1 / Math.sqrt(64)],
    ['encoder.layers.0.linear2.weight', 1 / Math.sqrt(48)],
    ['predictor.0.weight', 1 / Math.sqrt(64)],
    ['predictor.2.weight', 1 / Math.sqrt(48)],
  ];

  test.each(BOUNDS)('%s is uniform between -%d and that', (name, bound) => {
    const values = [...tensor(name)];
    const count = values.length;
    const largest = Math.max(...values.map(Math.abs));
    expect(largest).toBeLessThanOrEqual(bound * (1 + 1e-6));
    // All of n draws stay below (1 - 12 / n) of the bound with chance e^-12.
    expect(largest).toBeGreaterThan(bound * (1 - 12 / count));
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    expect(Math.abs(mean)).toBeLessThan((5 * bound) / Math.sqrt(3 * count));
    const variance = values.reduce((sum, value) => sum + value ** 2, 0) / count;
    expect(Math.abs(variance / (bound ** 2 / 3) - 1)).toBeLessThan(5 * Math.sqrt(0.8 / count));
  });

  test('norms start at 1 and 0, attention’s biases at 0', () => {
    const constant = (name: string) => new Set(tensor(name));
    for (const norm of ['encoder.layers.0.norm1', 'encoder.layers.1.norm2', 'encoder.norm']) {
      expect(constant(`${norm}.weight`)).toEqual(new Set([1]));
      expect(constant(`${norm}.bias`)).toEqual(new Set([0]));
    }
    expect([...constant('encoder.layers.0.self_attn.in_proj_bias')].map(Math.abs)).toEqual([0]);
    expect(tensor('encoder.layers.0.self_attn.out_proj.bias').every((value) => value === 0)).toBe(true);
  });

  test('layers start different, or alike where that is asked for', () => {
    const layerOf = (index: number, values: Float32Array) =>
      layout.entries
        .filter(({ name }) => name.startsWith(`encoder.layers.${index}.`))
        .flatMap(({ name }) => [...tensorOf(layout, values, name)]);
    expect(layerOf(1, flat)).not.toEqual(layerOf(0, flat));
    const alike = gpo
      .create({ ...options, identicalLayers: true }, { featureWidth: 31, rows: 0 })
      .initialise(streams(11));
    expect(layerOf(1, alike)).toEqual(layerOf(0, alike));
    expect(layerOf(0, alike)).toEqual(layerOf(0, flat));
  });
});

describe('the architecture', () => {
  const questions = randomQuestions(9, 10, FEATURE_WIDTH);
  const [context, targets] = [questions.slice(0, 6), questions.slice(6)];
  const predictor = gpo.create({ ...SMALL, layers: 2 }, { featureWidth: FEATURE_WIDTH, rows: 0 });
  const parameters = predictor.initialise(streams(12));

  test('has no position: the order of the context does not show', async () => {
    const session = await openGraph(predictor.predictionGraph());
    const run = async (given: typeof context) =>
      (await session.run(predictor.feeds(batchFrom(FEATURE_WIDTH, given, targets)), parameters))[
        GRAPH_NAMES.probabilities
      ]!;
    const [straight, reversed] = [await run(context), await run([...context].reverse())];
    for (const [i, share] of straight.entries()) expect(Math.abs(share - reversed[i]!)).toBeLessThan(1e-5);
    await session.close();
  });

  test('parameters that cannot change the loss have a gradient of exactly 0', async () => {
    const session = await openGraph(predictor.trainingGraph());
    const feeds = predictor.feeds(batchFrom(FEATURE_WIDTH, context, targets));
    const gradient = Float32Array.from((await session.run(feeds, parameters))[GRAPH_NAMES.gradient]!);
    const keys = tensorOf(predictor.layout, gradient, 'encoder.layers.0.self_attn.in_proj_bias').subarray(
      8,
      16,
    );
    expect([...keys].map(Math.abs)).toEqual(Array<number>(8).fill(0));
    const [location, scale] = tensorOf(predictor.layout, gradient, 'predictor.2.bias');
    expect([location, scale === 0]).toEqual([0, false]);
    await session.close();
  });

  test('the standard deviation has no gradient below its floor', async () => {
    const floored = gpo.create(
      { ...SMALL, layers: 1, stdFloor: 1 },
      { featureWidth: FEATURE_WIDTH, rows: 0 },
    );
    const low = floored.initialise(streams(12));
    const { offset } = entryOf(floored.layout, 'predictor.2.bias');
    low[offset + 1] = -20;
    const session = await openGraph(floored.trainingGraph());
    const feeds = floored.feeds(batchFrom(FEATURE_WIDTH, context, targets));
    const { loss, gradient } = await session.run(feeds, low);
    expect(Math.abs(gradient![offset + 1]!)).toBe(0);
    // With std 1 the loss is that of a standard normal: at least ln(2 pi) / 2, at most 1/2 more.
    expect(loss![0]).toBeGreaterThan(0.5 * Math.log(2 * Math.PI));
    expect(loss![0]).toBeLessThan(0.5 * Math.log(2 * Math.PI) + 0.5);
    await session.close();
  });
});

describe('the exported model', () => {
  test('predicts the same from plain inputs, with the parameters inside', async () => {
    const questions = randomQuestions(10, 9, FEATURE_WIDTH);
    const batch = batchFrom(FEATURE_WIDTH, questions.slice(0, 4), questions.slice(4));
    const predictor = gpo.create(
      { ...SMALL, layers: 2, norm: 'pre' },
      { featureWidth: FEATURE_WIDTH, rows: 0 },
    );
    const parameters = predictor.initialise(streams(13));
    const own = await openGraph(predictor.predictionGraph());
    const expected = (await own.run(predictor.feeds(batch), parameters))[GRAPH_NAMES.probabilities]!;
    await own.close();

    const exported = await ort.InferenceSession.create(predictor.exportGraph(parameters, { run: 'test' }));
    expect([...exported.inputNames].sort()).toEqual([
      'context_features',
      'context_shares',
      'target_features',
      'target_question',
    ]);
    const { context, target } = batch;
    const rows = (points: typeof context) => points.questions.length;
    const outputs = await exported.run({
      context_features: new ort.Tensor('float32', featuresOf(batch, context), [rows(context), FEATURE_WIDTH]),
      context_shares: new ort.Tensor('float32', context.probabilities, [rows(context)]),
      target_features: new ort.Tensor('float32', featuresOf(batch, target), [rows(target), FEATURE_WIDTH]),
      target_question: new ort.Tensor('int32', target.questions, [rows(target)]),
    });
    const shares = outputs[GRAPH_NAMES.probabilities]!.data as Float32Array;
    expect(shares).toHaveLength(expected.length);
    for (const [i, share] of shares.entries()) expect(Math.abs(share - expected[i]!)).toBeLessThan(1e-6);
    await exported.release();
  });
});
