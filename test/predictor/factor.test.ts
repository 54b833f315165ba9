import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { emitOnnx } from '../../src/graph/emit.ts';
import * as g from '../../src/graph/ops.ts';
import { factor } from '../../src/predictor/factor/factor.ts';
import { fitVector, solve } from '../../src/predictor/factor/newton.ts';
import { tensorOf } from '../../src/predictor/layout.ts';
import { GRAPH_NAMES } from '../../src/predictor/predictor.ts';
import { PREDICTORS, predictorKind } from '../../src/predictor/table.ts';
import { HostEngine } from '../../src/training/host-engine.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { predictorConformance } from '../conformance/predictor.ts';
import { openGraph } from '../support/graph-session.ts';
import { ort } from '../support/ort.ts';
import { type BatchQuestion, batchFrom, randomQuestions, rowsFor } from '../support/random-batch.ts';

predictorConformance({ kind: factor, options: { rank: 1, newtonSteps: 1 } });
predictorConformance({ kind: factor, options: { rank: 3, newtonSteps: 3, evidence: 2 } });

test('the table has it', () => {
  expect(PREDICTORS).toContain(factor);
  expect(predictorKind('factor')).toBe(factor);
});

describe('solve', () => {
  test('solves positive definite systems (property)', async () => {
    const k = 4;
    const [a, b] = [g.input('a', [k, k]), g.input('b', [k, 1])];
    const session = await ort.InferenceSession.create(
      emitOnnx({ x: solve(a, b) }, { name: 'solve', precision: 'float64' }),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const random = randomStream(seed, 'solve');
        const root = Array.from({ length: k * k }, () => random.normal());
        // root root^T + 1
        const matrix = Float64Array.from({ length: k * k }, (_, at) => {
          const [i, j] = [Math.floor(at / k), at % k];
          const product = root.slice(k * i, k * (i + 1)).reduce((sum, r, l) => sum + r * root[k * j + l]!, 0);
          return product + Number(i === j);
        });
        const right = Float64Array.from({ length: k }, () => random.normal());
        const outputs = await session.run({
          a: new ort.Tensor('float64', matrix, [k, k]),
          b: new ort.Tensor('float64', right, [k, 1]),
        });
        const x = outputs['x']!.data as Float64Array;
        for (let i = 0; i < k; i++) {
          const left = x.reduce((sum, value, j) => sum + matrix[k * i + j]! * value, 0);
          expect(left).toBeCloseTo(right[i]!, 9);
        }
      }),
    );
    await session.release();
  });
});

/** weight sum_q KL(y_q || softmax(b_q + U_q z)) + |z|^2 / 2, as it is written. */
function objective(
  z: readonly number[],
  questions: readonly { bias: number[]; factors: number[][]; shares: number[] }[],
  weight: number,
): number {
  const divergence = questions.map(({ bias, factors, shares }) => {
    const scores = bias.map((b, i) => b + factors[i]!.reduce((sum, u, j) => sum + u * z[j]!, 0));
    const total = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
    return shares.reduce((sum, y, i) => sum + y * (Math.log(y) - scores[i]! + total), 0);
  });
  return weight * divergence.reduce((a, b) => a + b, 0) + z.reduce((sum, value) => sum + value ** 2, 0) / 2;
}

describe('fitVector', () => {
  const [k, sizes] = [3, [2, 3, 4, 5]];
  const points = sizes.reduce((a, b) => a + b, 0);

  /** Answers that have nothing to do with the biases, and factors of about `scale`. */
  function problem(seed: number, scale: number) {
    const random = randomStream(seed, 'fit');
    const normals = (count: number) => Array.from({ length: count }, () => random.normal());
    const questions = sizes.map((size) => {
      const raw = normals(size).map(Math.exp);
      const total = raw.reduce((a, b) => a + b, 0);
      return {
        bias: normals(size),
        factors: Array.from({ length: size }, () => normals(k).map((value) => scale * value)),
        shares: raw.map((value) => value / total),
      };
    });
    return { questions, random };
  }

  /** A session that fits a vector with each of these numbers of steps. */
  async function fitting(steps: readonly number[]) {
    const evidence = {
      bias: g.input('bias', [points, 1]),
      factors: g.input('factors', [points, k]),
      shares: g.input('shares', [points, 1]),
      questions: g.input('questions', [points], 'int32'),
      weight: g.input('weight', [1]),
    };
    const outputs = Object.fromEntries(steps.map((count) => [`z${count}`, fitVector(evidence, count)]));
    const session = await ort.InferenceSession.create(
      emitOnnx(outputs, { name: 'fit', precision: 'float64' }),
    );
    const floats = (values: readonly number[], ...dims: number[]) =>
      new ort.Tensor('float64', Float64Array.from(values), dims);
    const asked = Int32Array.from(sizes.flatMap((size, q) => Array<number>(size).fill(q)));
    return {
      /** The vectors, in the order of `steps`. */
      fitted: async ({ questions }: ReturnType<typeof problem>, weight: number): Promise<number[][]> => {
        const found = await session.run({
          bias: floats(
            questions.flatMap(({ bias }) => bias),
            points,
            1,
          ),
          factors: floats(
            questions.flatMap(({ factors }) => factors.flat()),
            points,
            k,
          ),
          shares: floats(
            questions.flatMap(({ shares }) => shares),
            points,
            1,
          ),
          questions: new ort.Tensor('int32', asked, [points]),
          weight: floats([weight], 1),
        });
        return steps.map((count) => [...(found[`z${count}`]!.data as Float64Array)]);
      },
      close: () => session.release(),
    };
  }

  test('every step gets closer, however large factors are and however far answers from the biases (property)', async () => {
    const { fitted, close } = await fitting([1, 2, 3, 4]);
    const sizesOf = fc.record({
      seed: fc.nat(),
      scale: fc.constantFrom(0.1, 1, 5, 30),
      weight: fc.constantFrom(0.5, 10, 1000),
    });
    await fc.assert(
      fc.asyncProperty(sizesOf, async ({ seed, scale, weight }) => {
        const given = problem(seed, scale);
        let before = objective([0, 0, 0], given.questions, weight);
        for (const z of await fitted(given, weight)) {
          const after = objective(z, given.questions, weight);
          expect(after).toBeLessThanOrEqual(before * (1 + 1e-12));
          before = after;
        }
      }),
      { numRuns: 200 },
    );
    await close();
  });

  test('finds the minimum: no step away from it is better (property)', async () => {
    const { fitted, close } = await fitting([8]);
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.constantFrom(0.5, 3), async (seed, weight) => {
        const given = problem(seed, 0.3);
        const [z] = await fitted(given, weight);
        const best = objective(z!, given.questions, weight);
        for (let turn = 0; turn < 20; turn++) {
          const near = z!.map((value) => value + 1e-2 * given.random.normal());
          expect(objective(near, given.questions, weight)).toBeGreaterThan(best);
        }
      }),
      { numRuns: 100 },
    );
    await close();
  });
});

describe('training', () => {
  const questions = randomQuestions(9, 14, 2);
  const shape = { featureWidth: 2, rows: rowsFor(questions.length) };
  const predictor = factor.create({ rank: 2 }, shape);

  /** Groups that differ along one line only: a share of each question leans as the group does. */
  function answersOf(lean: number): BatchQuestion[] {
    return questions.map((question) => {
      const weights = question.shares.map(
        (share, i) => share * Math.exp(lean * Math.cos(3 * question.index + 2 * i)),
      );
      const total = weights.reduce((a, b) => a + b, 0);
      return { ...question, shares: weights.map((weight) => weight / total) };
    });
  }

  test('learns what groups have in common and how they differ: an unseen group is predicted from few answers', async () => {
    const engine = new HostEngine({
      predictor,
      device: 'cpu',
      optimizer: ADAM_DEFAULTS,
      features: 'float32',
    });
    await engine.load(predictor.initialise((tensor) => randomStream(4, tensor)));
    await engine.begin(null);
    const random = randomStream(5, 'tasks');
    for (let step = 0; step < 600; step++) {
      const answers = random.shuffled(answersOf([-1.5, -0.8, 0.4, 1.2][step % 4]!));
      await engine.step(batchFrom(2, answers.slice(0, 5), answers.slice(5)), 0.03);
    }
    const unseen = answersOf(0.9);
    const batch = batchFrom(2, unseen.slice(0, 5), unseen.slice(5));
    const distance = (found: ArrayLike<number>) =>
      batch.target.probabilities.reduce((sum, truth, i) => sum + Math.abs(truth - found[i]!), 0);
    const predicted = await engine.predict(batch);
    // What all groups have in common is what is predicted for one that told of no leaning.
    const common = answersOf(0);
    const average = batchFrom(2, common.slice(0, 5), common.slice(5)).target.probabilities;
    expect(distance(predicted)).toBeLessThan(distance(average) / 3);
  });

  test('what a task does not touch has a gradient of exactly 0', async () => {
    const session = await openGraph(predictor.trainingGraph());
    const batch = batchFrom(2, questions.slice(0, 3), questions.slice(3, 6));
    const parameters = predictor.initialise((tensor) => randomStream(1, tensor));
    const { [GRAPH_NAMES.gradient]: gradient } = await session.run(predictor.feeds(batch), parameters);
    const biases = tensorOf(predictor.layout, Float32Array.from(gradient!), 'items.bias');
    const touched = new Set([...batch.context.rows, ...batch.target.rows]);
    for (const [row, value] of biases.entries()) {
      if (touched.has(row)) continue;
      expect(value === 0).toBe(true);
    }
    expect([...touched].some((row) => biases[row] !== 0)).toBe(true);
    await session.close();
  });

  test('a question that nobody trained on is predicted evenly, but for its factors’ small start', async () => {
    const engine = new HostEngine({
      predictor,
      device: 'cpu',
      optimizer: ADAM_DEFAULTS,
      features: 'float32',
    });
    const parameters = predictor.initialise((tensor) => randomStream(1, tensor));
    tensorOf(predictor.layout, parameters, 'items.factors').fill(0);
    await engine.load(parameters);
    const shares = await engine.predict(batchFrom(2, questions.slice(0, 3), questions.slice(3, 4)));
    for (const share of shares) expect(share).toBeCloseTo(1 / shares.length, 6);
  });
});
