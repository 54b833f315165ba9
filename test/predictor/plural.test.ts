import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { tensorOf } from '../../src/predictor/layout.ts';
import { plural } from '../../src/predictor/plural/plural.ts';
import { GRAPH_NAMES } from '../../src/predictor/predictor.ts';
import { PREDICTORS, predictorKind } from '../../src/predictor/table.ts';
import { HostEngine } from '../../src/training/host-engine.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { predictorConformance } from '../conformance/predictor.ts';
import { openGraph } from '../support/graph-session.ts';
import { ort } from '../support/ort.ts';
import {
  type BatchQuestion,
  batchFrom,
  featuresOf,
  randomQuestions,
  rowsFor,
} from '../support/random-batch.ts';

const SMALL = { itemLayers: 1, itemWidth: 5, newtonSteps: 2, rank: 2, members: 1 };
const WIDTH = 3;

predictorConformance({ kind: plural, options: { ...SMALL, rank: 1 } });
predictorConformance({ kind: plural, options: { ...SMALL, leastGroups: null, unseenWeight: 0.5 } });
predictorConformance({ kind: plural, options: { ...SMALL, members: 3 } });
predictorConformance({
  kind: plural,
  options: { ...SMALL, layers: 1, width: 4, heads: 2, feedforward: 4 },
});

test('the table has it', () => {
  expect(PREDICTORS).toContain(plural);
  expect(predictorKind('plural')).toBe(plural);
});

test('heads that do not divide the width are CONFIG_INVALID, where there is a transformer', () => {
  const made = (layers: number) => () =>
    plural.create({ layers, width: 6, heads: 4 }, { featureWidth: WIDTH, rows: 2 });
  expect(made(1)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  expect(made(0)).not.toThrow();
});

describe('memory and features', () => {
  const questions = randomQuestions(9, 10, WIDTH);
  const predictor = plural.create(SMALL, { featureWidth: WIDTH, rows: rowsFor(questions.length) });
  const batch = batchFrom(WIDTH, questions.slice(0, 5), questions.slice(5));

  /** Parameters with something in the memory of some rows. */
  function parametersWith(rows: Iterable<number>): Float32Array {
    const parameters = predictor.initialise((tensor) => randomStream(4, tensor));
    const memory = tensorOf(predictor.layout, parameters, 'items.memory');
    const width = memory.length / rowsFor(questions.length);
    const random = randomStream(5, 'memory');
    for (const row of rows) {
      for (let i = row * width; i < (row + 1) * width; i++) memory[i] = 0.03 * random.normal();
    }
    return parameters;
  }

  async function predict(parameters: Float32Array, asked = batch): Promise<number[]> {
    const session = await openGraph(predictor.predictionGraph());
    const outputs = await session.run(predictor.feeds(asked), parameters);
    await session.close();
    return [...outputs[GRAPH_NAMES.probabilities]!];
  }

  test('what is remembered of a target changes its prediction and no other', async () => {
    const first = batch.target.questions[0]!;
    const own = [...batch.target.rows].filter((_, i) => batch.target.questions[i] === first);
    const [before, after] = [await predict(parametersWith([])), await predict(parametersWith(own))];
    for (const [i, question] of batch.target.questions.entries()) {
      if (question === first) expect(after[i]).not.toBe(before[i]);
      else expect(after[i]).toBe(before[i]);
    }
  });

  test('the loss adds up the remembered and the unasked prediction: with an empty memory they are the same', async () => {
    const lossOf = async (unseenWeight: number, parameters: Float32Array) => {
      const weighted = plural.create(
        { ...SMALL, unseenWeight },
        { featureWidth: WIDTH, rows: rowsFor(questions.length) },
      );
      const session = await openGraph(weighted.trainingGraph());
      const outputs = await session.run(weighted.feeds(batch), parameters);
      await session.close();
      return outputs[GRAPH_NAMES.loss]![0]!;
    };
    const empty = parametersWith([]);
    expect((await lossOf(1, empty)) / (await lossOf(0, empty))).toBeCloseTo(2, 5);
    // A memory of the targets alone changes the first and leaves the second.
    const full = parametersWith(batch.target.rows);
    const unasked = (await lossOf(1, full)) - (await lossOf(0, full));
    expect(unasked).toBeCloseTo(await lossOf(0, empty), 5);
    expect(await lossOf(0, full)).not.toBeCloseTo(await lossOf(0, empty), 3);
  });

  test('the exported model predicts the same, and knows a row for questions that are not in the survey', async () => {
    const parameters = parametersWith([...batch.context.rows, ...batch.target.rows]);
    const exported = await ort.InferenceSession.create(predictor.exportGraph(parameters, { run: 'test' }));
    const { context, target } = batch;
    const ask = async (rows: Int32Array) => {
      const floats = (data: Float32Array, ...dims: number[]) => new ort.Tensor('float32', data, dims);
      const ints = (data: Int32Array) => new ort.Tensor('int32', data, [data.length]);
      const outputs = await exported.run({
        context_features: floats(featuresOf(batch, context), context.rows.length, WIDTH),
        context_shares: floats(context.probabilities, context.rows.length),
        context_rows: ints(context.rows),
        context_question: ints(context.questions),
        target_features: floats(featuresOf(batch, target), target.rows.length, WIDTH),
        target_rows: ints(rows),
        target_question: ints(target.questions),
      });
      return [...(outputs[GRAPH_NAMES.probabilities]!.data as Float32Array)];
    };
    const close = (found: number[], expected: number[]) => {
      expect(found).toHaveLength(expected.length);
      for (const [i, share] of found.entries()) expect(share).toBeCloseTo(expected[i]!, 5);
    };
    close(await ask(target.rows), await predict(parameters));
    const elsewhere = target.rows.map(() => rowsFor(questions.length));
    close(await ask(elsewhere), await predict(parametersWith(context.rows)));
    await exported.release();
  });
});

test('members know nothing of each other: they predict the mean of what each predicts alone, and train on the mean of their losses', async () => {
  const questions = randomQuestions(9, 10, WIDTH);
  const shape = { featureWidth: WIDTH, rows: rowsFor(questions.length) };
  const batch = batchFrom(WIDTH, questions.slice(0, 5), questions.slice(5));
  const MEMBERS = 3;
  const together = plural.create({ ...SMALL, members: MEMBERS }, shape);
  const alone = plural.create(SMALL, shape);
  const parameters = together.initialise((tensor) => randomStream(4, tensor));
  const random = randomStream(5, 'memory');
  const memory = tensorOf(together.layout, parameters, 'items.memory');
  for (let i = 0; i < memory.length; i++) memory[i] = 0.03 * random.normal();

  const part = (member: number) => {
    const own = new Float32Array(alone.layout.size);
    const width = memory.length / shape.rows / MEMBERS;
    for (const { name } of alone.layout.entries) {
      const theirs = tensorOf(together.layout, parameters, name.replace('items.0.', `items.${member}.`));
      const row = (i: number) => Math.floor(i / width) * width * MEMBERS + member * width + (i % width);
      const values = tensorOf(alone.layout, own, name);
      for (let i = 0; i < values.length; i++) values[i] = theirs[name === 'items.memory' ? row(i) : i]!;
    }
    return own;
  };
  const run = async (predictor: typeof alone, values: Float32Array) => {
    const outputs: Record<string, number[]> = {};
    for (const graph of [predictor.predictionGraph(), predictor.trainingGraph()]) {
      const session = await openGraph(graph);
      for (const [name, data] of Object.entries(await session.run(predictor.feeds(batch), values))) {
        outputs[name] = [...data];
      }
      await session.close();
    }
    return outputs;
  };

  const found = await run(together, parameters);
  const each = await Promise.all(Array.from({ length: MEMBERS }, (_, member) => run(alone, part(member))));
  for (const name of [GRAPH_NAMES.probabilities, GRAPH_NAMES.loss]) {
    for (const [i, value] of found[name]!.entries()) {
      const mean = each.reduce((sum, outputs) => sum + outputs[name]![i]!, 0) / MEMBERS;
      expect(value).toBeCloseTo(mean, 6);
    }
    expect(each[0]![name]).not.toEqual(each[1]![name]);
  }
});

describe('training', () => {
  const questions = randomQuestions(9, 40, WIDTH);

  /** The scores of options follow from the features, times what the group leans to, and for known questions from chance, too. */
  function answersOf(lean: number): BatchQuestion[] {
    const surprise = randomStream(3, 'surprise');
    return questions.map((question) => {
      const weights = [...question.shares.keys()].map((i) => {
        const [a = 0, b = 0] = question.features.subarray(WIDTH * i, WIDTH * (i + 1));
        return Math.exp(a + lean * b + 0.7 * surprise.normal());
      });
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return { ...question, shares: Float32Array.from(weights, (weight) => weight / total) };
    });
  }

  test('an unseen group is predicted on known questions from memory, on new ones from features, and on both better than without the context', async () => {
    const predictor = plural.create(
      { rank: 1, itemWidth: 16, members: 2 },
      { featureWidth: WIDTH, rows: rowsFor(questions.length) },
    );
    const engine = new HostEngine({
      predictor,
      device: 'cpu',
      optimizer: ADAM_DEFAULTS,
      features: 'float32',
    });
    await engine.load(predictor.initialise((tensor) => randomStream(4, tensor)));
    await engine.begin(null);
    const random = randomStream(5, 'tasks');
    // The last ten questions are asked of nobody.
    for (let step = 0; step < 500; step++) {
      const answers = random.shuffled(answersOf([-1.5, -0.8, 0.4, 1.2][step % 4]!).slice(0, 30));
      await engine.step(batchFrom(WIDTH, answers.slice(0, 10), answers.slice(10)), 0.005);
    }
    const distance = async (told: BatchQuestion[], asked: BatchQuestion[]) => {
      const batch = batchFrom(WIDTH, told, asked);
      const found = await engine.predict(batch);
      return (
        batch.target.probabilities.reduce((sum, truth, i) => sum + Math.abs(truth - found[i]!), 0) /
        asked.length
      );
    };
    const unseen = answersOf(0.9);
    const [own, other] = [unseen.slice(0, 10), answersOf(-0.9).slice(0, 10)];
    const known = await distance(own, unseen.slice(10, 30));
    const fresh = await distance(own, unseen.slice(30));
    expect(known).toBeLessThan(fresh / 2);
    expect(await distance(other, unseen.slice(10, 30))).toBeGreaterThan(known * 1.5);
    expect(await distance(other, unseen.slice(30))).toBeGreaterThan(fresh);
  });
});
