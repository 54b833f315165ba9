import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { entryOf, type ParameterRange } from '../../src/predictor/layout.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stageRanges } from '../../src/predictor/staged/parts.ts';
import { boundaryAxes, boundarySpace } from '../../src/sharding/parts/boundary-axes.ts';
import { morphFrom, turnSpace } from '../../src/sharding/parts/morph.ts';
import type { Floats } from '../../src/sharding/parts/part-session.ts';
import {
  distance,
  FEATURE_WIDTH,
  keyOf,
  openTwin,
  openWhole,
  rotationOf,
  startOf,
  tinyStaged,
  tinyTasks,
  turnAll,
} from '../support/sharding.ts';

/**
 * What N and S tell whoever has shards of different epochs: the facts behind ADR 15. Between the epochs the model is morphed and not
 * trained, which is the best that an attacker can hope for. A flat vector of all parameters stands for a model.
 */

const options = tinyStaged();
const { stages, width } = options;
const layout = stagedLayout(options, FEATURE_WIDTH);
const axes = boundaryAxes(layout, options);
const ranges = stageRanges(layout, options);
const [batch] = tinyTasks(1, 9);

/** Square matrices as flat vectors. */
function multiply(a: Floats, b: Floats): Float64Array {
  return Float64Array.from({ length: width * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let k = 0; k < width; k++) sum += a[row * width + k]! * b[k * width + column]!;
    return sum;
  });
}

function transposed(a: Floats): Float64Array {
  return Float64Array.from(
    { length: a.length },
    (_, at) => a[(at % width) * width + Math.floor(at / width)]!,
  );
}

function tensorIn(model: Floats, name: string): Floats {
  const { offset, size } = entryOf(layout, name);
  return model.subarray(offset, offset + size);
}

function norm(model: Floats, stage: number): Floats {
  return tensorIn(model, `stages.${stage}.layers.0.norm1`);
}

/** S1 S2 of a stage of one layer: A^-1 C, where the skips started as identities. */
function skips(model: Floats, stage: number): Float64Array {
  const skip = (index: number) => tensorIn(model, `stages.${stage}.layers.0.skip${index}`);
  return multiply(skip(1), skip(2));
}

/** Turns a boundary on the side of one part alone. */
function turnPart(
  model: Floats,
  { start, end }: ParameterRange,
  boundary: number,
  rotation: Float64Array,
): void {
  const own = axes.filter(({ entry }) => start <= entry.offset && entry.offset < end);
  turnSpace(model, own, boundarySpace(boundary, options), rotation);
}

/** A model in which some parts are those of another. */
function stitched(model: Float64Array, parts: readonly ParameterRange[], other: Floats): Float64Array {
  const result = model.slice();
  for (const { start, end } of parts) result.set(other.subarray(start, end), start);
  return result;
}

function inEpoch(model: Float64Array, epoch: number): Float64Array {
  const turned = model.slice();
  turnAll(turned, options, epoch);
  return turned;
}

async function trainedFrom(parameters: Floats): Promise<Float64Array> {
  const twin = await openTwin({ options, parameters });
  for (const task of tinyTasks(100)) await twin.step([task], 0.01);
  const masters = twin.masters();
  await twin.close();
  return masters;
}

describe('shards of different epochs', () => {
  let whole: Awaited<ReturnType<typeof openWhole>>;
  beforeAll(async () => {
    whole = await openWhole(options);
  });
  afterAll(() => whole.close());

  /** How far a model's predictions are off those of the one that it should be. */
  const farOff = async (model: Floats, trained: Floats) =>
    distance(await whole.predict(model, batch!), await whole.predict(trained, batch!));

  test('fit once N has undone their morphs, where the start is public', async () => {
    const start = startOf(options);
    const trained = await trainedFrom(start);
    let model = trained;
    // Every stage is of an epoch of its own.
    for (const [stage, range] of ranges.stages.entries()) {
      model = stitched(model, [range], inEpoch(trained, stage + 1));
    }
    expect(await farOff(model, trained)).toBeGreaterThan(0.05);
    for (const [stage, range] of ranges.stages.entries()) {
      // N1 = A^-1 O with a known O gives A, and S1 S2 = A^-1 C gives C.
      const entry = multiply(norm(start, stage), transposed(norm(model, stage)));
      const exit = multiply(entry, skips(model, stage));
      turnPart(model, range, stage, transposed(entry));
      turnPart(model, range, stage + 1, transposed(exit));
    }
    expect(await farOff(model, trained)).toBeLessThan(1e-5);
  });

  /**
   * A group knows what its own boundaries, before the first stage and after the last, were turned by. With the first stage of one epoch and
   * all others of a later one it works out the turn between them from S alone, and needs no N. Gives what is off before and after.
   */
  async function bridgeWithSkips(trained: Float64Array) {
    const [early, late] = [inEpoch(trained, 1), inEpoch(trained, 2)];
    const model = stitched(late, [ranges.front, ranges.stages[0]!], early);
    const before = await farOff(model, trained);
    const exit = multiply(rotationOf(options, 1, 0), skips(model, 0));
    const rest = multiply(skips(model, 1), skips(model, 2));
    const entry = multiply(rotationOf(options, 2, stages), transposed(rest));
    turnPart(model, ranges.stages[0]!, 1, multiply(transposed(exit), entry));
    return { before, after: await farOff(model, trained) };
  }

  test('in two runs of stages fit by S, for a group, where skips start as identities', async () => {
    const { before, after } = await bridgeWithSkips(await trainedFrom(startOf(options)));
    expect(before).toBeGreaterThan(0.05);
    expect(after).toBeLessThan(1e-9);
  });

  test('do not where each keeper has turned its exit, and nobody else an entry, before the first step', async () => {
    const start = Float64Array.from(startOf(options));
    for (const [stage, range] of ranges.stages.entries()) {
      turnPart(start, range, stage + 1, morphFrom(keyOf('of the keeper alone', stage), width));
    }
    const { before, after } = await bridgeWithSkips(await trainedFrom(start));
    expect(before).toBeGreaterThan(0.05);
    expect(after).toBeGreaterThan(0.05);
  });
});
