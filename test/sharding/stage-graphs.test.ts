import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { feedsOf } from '../../src/predictor/gpo/inputs.ts';
import { GRAPH_NAMES } from '../../src/predictor/predictor.ts';
import { stagedParts, stageRanges } from '../../src/predictor/staged/parts.ts';
import { type Frame, openPart, rowFeeds } from '../../src/sharding/parts/part-session.ts';
import { frontGraphs, headGraphs, stageGraphs } from '../../src/sharding/parts/stage-graphs.ts';
import {
  distance,
  FEATURE_WIDTH,
  startOf,
  tinyPredictor,
  tinyStaged,
  tinyTasks,
} from '../support/sharding.ts';

const options = tinyStaged({ stages: 4, layersPerStage: 2, loss: 'nll' });
const predictor = tinyPredictor(options);
const parts = stagedParts(predictor.layout, options);
const ranges = stageRanges(predictor.layout, options);
const parameters = startOf(options);
const shape = { options, precision: 'float64' } as const;
const [batch] = tinyTasks(1);
const feeds = feedsOf(batch!);
const rows = { context: batch!.context.rows.length, target: batch!.target.rows.length };

const open = async ({ forward, backward }: { forward: Uint8Array; backward: Uint8Array }) => ({
  forward: await openPart(forward, 'float64'),
  backward: await openPart(backward, 'float64'),
});

describe('the parts of a model', () => {
  let front: Awaited<ReturnType<typeof open>>;
  let stages: Awaited<ReturnType<typeof open>>[];
  let head: Awaited<ReturnType<typeof open>>;
  beforeAll(async () => {
    front = await open(frontGraphs({ ...shape, layout: parts.front }, FEATURE_WIDTH));
    stages = await Promise.all(
      parts.stages.map((layout, index) => open(stageGraphs({ ...shape, layout }, index))),
    );
    head = await open(headGraphs({ ...shape, layout: parts.head }, FEATURE_WIDTH));
  });
  afterAll(async () => {
    for (const part of [front, ...stages, head]) {
      await part.forward.close();
      await part.backward.close();
    }
  });

  const own = ({ start, end }: typeof ranges.front) => parameters.subarray(start, end);
  const width = options.width;
  const frameOf = (data: Frame['data']): Frame => ({ data, rows: data.length / width, width });

  test('a stage is told parameters, frames and where the context ends: no features, no shares, no questions', () => {
    const told = ['context_count', 'context_size', 'parameters', 'rows_after_context', 'rows_before_target'];
    for (const { forward, backward } of stages) {
      expect(new Set(forward.inputs)).toEqual(new Set([...told, 'x']));
      expect(new Set(backward.inputs)).toEqual(new Set([...told, 'x', 'dy']));
    }
    expect(front.backward.inputs).toContain('tokens');
    expect(head.backward.inputs).toContain('target_share');
    expect(head.forward.inputs).not.toContain('target_share');
  });

  test('together compute the loss, the predictions and the gradient of the whole', async () => {
    const whole = await openPart(predictor.trainingGraph({ precision: 'float64' }), 'float64');
    const asked = await openPart(predictor.predictionGraph({ precision: 'float64' }), 'float64');
    const expected = await whole.run(parameters, {}, feeds);
    const predicted = await asked.run(parameters, {}, feeds);

    const frames = [frameOf((await front.forward.run(own(ranges.front), {}, feeds))['y']!)];
    for (const [index, { forward }] of stages.entries()) {
      const x = frames.at(-1)!;
      frames.push(frameOf((await forward.run(own(ranges.stages[index]!), { x }, rowFeeds(rows)))['y']!));
    }
    expect(frames.map((frame) => frame.rows)).toEqual([
      ...Array<number>(4).fill(rows.context + rows.target),
      rows.target,
    ]);
    const x = frames.at(-1)!;
    const { probabilities } = await head.forward.run(own(ranges.head), { x }, feeds);
    expect(distance(probabilities!, predicted[GRAPH_NAMES.probabilities]!)).toBeLessThan(1e-14);

    const last = await head.backward.run(own(ranges.head), { x }, feeds);
    expect(Math.abs(last['loss']![0]! - expected['loss']![0]!)).toBeLessThan(1e-13);
    const gradients = [last['gradient']!];
    let dy = frameOf(last['dx']!);
    for (const [index, { backward }] of [...stages.entries()].reverse()) {
      const input = frames[index]!;
      const outputs = await backward.run(own(ranges.stages[index]!), { x: input, dy }, rowFeeds(rows));
      gradients.unshift(outputs['gradient']!);
      dy = frameOf(outputs['dx']!);
    }
    gradients.unshift((await front.backward.run(own(ranges.front), { dy }, feeds))['gradient']!);
    const joined = Float64Array.from(gradients.flatMap((part) => [...part]));
    expect(distance(joined, expected['gradient']!)).toBeLessThan(1e-12);
    expect(joined.some((value) => Math.abs(value) > 0.01)).toBe(true);
    await whole.close();
    await asked.close();
  });

  test('the same options give the same bytes', () => {
    const layout = parts.stages[1]!;
    const [first, second] = [stageGraphs({ ...shape, layout }, 1), stageGraphs({ ...shape, layout }, 1)];
    expect(Buffer.from(first.backward).equals(second.backward)).toBe(true);
    expect(Buffer.from(first.forward).equals(second.forward)).toBe(true);
  });
});
