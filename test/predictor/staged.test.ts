import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { entryOf, tensorOf } from '../../src/predictor/layout.ts';
import { GRAPH_NAMES } from '../../src/predictor/predictor.ts';
import { stagedOptions } from '../../src/predictor/staged/options.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stagedParts, stageRanges } from '../../src/predictor/staged/parts.ts';
import { staged } from '../../src/predictor/staged/staged.ts';
import { PREDICTORS, predictorKind } from '../../src/predictor/table.ts';
import { predictorConformance } from '../conformance/predictor.ts';
import { openGraph } from '../support/graph-session.ts';
import { ort } from '../support/ort.ts';
import { batchFrom, featuresOf, randomQuestions } from '../support/random-batch.ts';

const SMALL = { width: 8, heads: 2, feedforward: 6, embedderLayers: 2 };
const FEATURE_WIDTH = 3;

predictorConformance({ kind: staged, options: { ...SMALL, layersPerStage: 1, loss: 'kl' } });
predictorConformance({ kind: staged, options: { ...SMALL, stages: 4, layersPerStage: 1, loss: 'nll' } });
predictorConformance({ kind: staged, options: { ...SMALL, layersPerStage: 2, loss: 'nll', stdFloor: 0 } });

test('the table has it', () => {
  expect(PREDICTORS).toContain(staged);
  expect(predictorKind('staged')).toBe(staged);
});

test('two stages are refused by the schema, heads that do not divide the width are CONFIG_INVALID', () => {
  expect(stagedOptions.safeParse({ stages: 2 }).success).toBe(false);
  expect(stagedOptions.safeParse({ stages: 3 }).success).toBe(true);
  expect(() => staged.create({ width: 10, heads: 4 }, { featureWidth: 3, rows: 0 })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
});

describe('the parts', () => {
  const options = stagedOptions.parse({ ...SMALL, stages: 4 });
  const layout = stagedLayout(options, FEATURE_WIDTH);
  const { front, stages, head } = stageRanges(layout, options);

  test('tile the flat vector: front, stages, head', () => {
    const ranges = [front, ...stages, head];
    expect(stages).toHaveLength(4);
    expect(ranges[0]!.start).toBe(0);
    for (const [i, { end }] of ranges.entries()) expect(end).toBe(ranges[i + 1]?.start ?? layout.size);
    expect(new Set(stages.map(({ start, end }) => end - start)).size).toBe(1);
  });

  test('have their own tensors and no others', () => {
    const parts = stagedParts(layout, options);
    const prefixes = (part: typeof layout) => new Set(part.entries.map(({ name }) => name.split('.')[0]));
    expect(prefixes(parts.front)).toEqual(new Set(['embedder']));
    expect(prefixes(parts.head)).toEqual(new Set(['head', 'predictor']));
    for (const [index, part] of parts.stages.entries()) {
      expect(part.entries.every(({ name }) => name.startsWith(`stages.${index}.`))).toBe(true);
      for (const { name, offset } of part.entries) {
        expect(offset + stages[index]!.start).toBe(entryOf(layout, name).offset);
      }
    }
  });
});

describe('the start', () => {
  const predictor = staged.create(SMALL, { featureWidth: FEATURE_WIDTH, rows: 0 });
  const { layout } = predictor;
  const flat = predictor.initialise((tensor) => randomStream(6, tensor));
  const questions = randomQuestions(9, 10, FEATURE_WIDTH);
  const batch = batchFrom(FEATURE_WIDTH, questions.slice(0, 6), questions.slice(6));

  test('has a rotation of its own before each norm and the identity on each skip', () => {
    const norms = layout.entries.filter(({ name }) => /norm\d?$/.test(name));
    expect(norms).toHaveLength(3 * 2 * 2 + 1);
    for (const { name } of norms) {
      const matrix = tensorOf(layout, flat, name);
      for (let a = 0; a < 8; a++) {
        for (let b = 0; b < 8; b++) {
          let product = 0;
          for (let i = 0; i < 8; i++) product += matrix[8 * a + i]! * matrix[8 * b + i]!;
          expect(Math.abs(product - Number(a === b))).toBeLessThan(1e-6);
        }
      }
    }
    expect(new Set(norms.map(({ name }) => tensorOf(layout, flat, name)[0])).size).toBe(norms.length);
    expect(norms.every(({ frozen }) => frozen)).toBe(true);
    const skip = [...tensorOf(layout, flat, 'stages.1.layers.0.skip2')];
    expect(skip).toEqual(Array.from({ length: 64 }, (_, i) => Number(i % 9 === 0)));
  });

  test('is that of layers without rotations: turned back, they predict the same', async () => {
    const plain = flat.slice();
    const matmul = (name: string, transform: (row: number, column: number) => number) => {
      const { shape } = entryOf(layout, name);
      const values = tensorOf(layout, plain, name);
      values.set(values.map((_, i) => transform(Math.floor(i / shape[1]!), i % shape[1]!)));
    };
    for (const { name } of layout.entries.filter((entry) => /norm\d?$/.test(entry.name))) {
      const rotation = tensorOf(layout, flat, name);
      const readers =
        name === 'head.norm'
          ? []
          : name.endsWith('1')
            ? ['query', 'key', 'value'].map((part) => name.replace('norm1', part))
            : [name.replace('norm2', 'linear1.weight')];
      for (const reader of readers) {
        const weight = tensorOf(layout, flat, reader);
        const columns = entryOf(layout, reader).shape[1]!;
        // O (O^T W) = W.
        matmul(reader, (row, column) => {
          let sum = 0;
          for (let i = 0; i < 8; i++) sum += rotation[8 * row + i]! * weight[columns * i + column]!;
          return sum;
        });
      }
      if (name === 'head.norm') {
        const weight = tensorOf(layout, flat, 'predictor.0.weight');
        // (W O) O^T = W, weights [out, in].
        matmul('predictor.0.weight', (row, column) => {
          let sum = 0;
          for (let i = 0; i < 8; i++) sum += weight[8 * row + i]! * rotation[8 * column + i]!;
          return sum;
        });
      }
      matmul(name, (row, column) => Number(row === column));
    }
    const session = await openGraph(predictor.predictionGraph({ precision: 'float64' }), 'float64');
    const predict = async (parameters: Float32Array) =>
      (await session.run(predictor.feeds(batch), parameters))[GRAPH_NAMES.probabilities]!;
    const [turned, straight] = [await predict(flat), await predict(plain)];
    await session.close();
    expect(plain).not.toEqual(flat);
    for (const [i, share] of turned.entries()) expect(Math.abs(share - straight[i]!)).toBeLessThan(1e-6);
  });

  test('weights are as far apart as torch’s: turning them changes no variance', () => {
    const wide = staged.create({ width: 64, heads: 4, feedforward: 48 }, { featureWidth: 7, rows: 0 });
    const values = wide.initialise((tensor) => randomStream(2, tensor));
    const deviation = (name: string) => {
      const tensor = tensorOf(wide.layout, values, name);
      return Math.sqrt(tensor.reduce((sum, value) => sum + value ** 2, 0) / tensor.length);
    };
    const bounds: readonly (readonly [string, number])[] = [
      ['stages.0.layers.0.query', Math.sqrt(6 / (4 * 64))],
      ['stages.1.layers.1.out.weight', 1 / Math.sqrt(64)],
      ['stages.2.layers.0.linear1.weight', 1 / Math.sqrt(64)],
      ['stages.2.layers.1.linear2.weight', 1 / Math.sqrt(48)],
      ['predictor.0.weight', 1 / Math.sqrt(64)],
    ];
    for (const [name, bound] of bounds) {
      expect(deviation(name) / (bound / Math.sqrt(3)), name).toBeGreaterThan(0.95);
      expect(deviation(name) / (bound / Math.sqrt(3)), name).toBeLessThan(1.05);
    }
    const bias = tensorOf(wide.layout, values, 'stages.0.layers.0.out.bias');
    expect(bias.every((value) => value === 0)).toBe(true);
  });

  test('the exported model predicts the same', async () => {
    const exported = await ort.InferenceSession.create(predictor.exportGraph(flat, { run: 'test' }));
    const floats = (data: Float32Array, ...dims: number[]) => new ort.Tensor('float32', data, dims);
    const { context, target } = batch;
    const outputs = await exported.run({
      context_features: floats(featuresOf(batch, context), context.rows.length, FEATURE_WIDTH),
      context_shares: floats(context.probabilities, context.rows.length),
      target_features: floats(featuresOf(batch, target), target.rows.length, FEATURE_WIDTH),
      target_question: new ort.Tensor('int32', target.questions, [target.questions.length]),
    });
    const session = await openGraph(predictor.predictionGraph());
    const expected = (await session.run(predictor.feeds(batch), flat))[GRAPH_NAMES.probabilities]!;
    await session.close();
    const shares = outputs[GRAPH_NAMES.probabilities]!.data as Float32Array;
    expect(shares).toHaveLength(expected.length);
    for (const [i, share] of shares.entries()) expect(Math.abs(share - expected[i]!)).toBeLessThan(1e-6);
    await exported.release();
  });
});
