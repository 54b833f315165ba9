import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { factor } from '../../src/predictor/factor/factor.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import { partsOf, tensorOf } from '../../src/predictor/layout.ts';
import { plural } from '../../src/predictor/plural/plural.ts';
import { withParameters } from '../../src/predictor/predictor.ts';
import { engineFor } from '../../src/training/engine-for.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { asTensor, createSession, feedOf, openSession } from '../../src/training/session.ts';
import { checkVectors, relativeError } from '../../src/training/vectors.ts';
import {
  ENGINE_PREDICTOR,
  engineBatches,
  engineConformance,
  engineParameters,
} from '../conformance/engine.ts';
import { temporaryFolder } from '../support/cli.ts';
import { webgpuMissing } from '../support/webgpu.ts';

engineConformance('the CPU', (setup) => engineFor({ ...setup, device: 'cpu' }));

test('tensors that stand apart, read whole or by rows, get the gradient that they have in the flat vector', async () => {
  // in_proj_weight [1536, 512] is read by rows; linear1 [512, 512] whole; the others go together.
  const predictor = gpo.create(
    { width: 512, layers: 1, heads: 4, feedforward: 512, embedderLayers: 2 },
    { featureWidth: ENGINE_PREDICTOR.featureWidth, rows: 0 },
  );
  const parts = partsOf(predictor.layout);
  expect(parts.filter(({ entry }) => entry !== null).map(({ entry }) => entry!.name)).toContain(
    'encoder.layers.0.self_attn.in_proj_weight',
  );
  expect(parts.some(({ entry }) => entry === null)).toBe(true);
  const [batch] = engineBatches(1);
  const parameters = predictor.initialise((tensor) => randomStream(2, tensor));
  const engine = engineFor({ predictor, device: 'cpu', optimizer: ADAM_DEFAULTS, features: 'float32' });
  await engine.load(parameters);
  await engine.begin(null);
  const { loss, gradient } = await engine.gradient(batch!);
  const session = await openSession(predictor.trainingGraph(), 'cpu');
  const flat = await session.run(withParameters(predictor.feeds(batch!), parameters));
  expect(loss).toBeCloseTo(flat['loss']![0]!, 5);
  for (const { name } of predictor.layout.entries) {
    const [own, expected] = [gradient, flat['gradient']!].map((vector) =>
      tensorOf(predictor.layout, vector, name),
    );
    expect(relativeError(own!, expected!), name).toBeLessThan(1e-5);
  }
  await session.close();
  await engine.close();
});

const missing = await webgpuMissing();
describe.skipIf(missing !== null)(`WebGPU${missing === null ? '' : ` (SKIPPED: ${missing})`}`, () => {
  engineConformance('WebGPU', (setup) => engineFor({ ...setup, device: 'webgpu' }));

  test('every reference figure is within 1e-5', async () => {
    const checks = await checkVectors('test/vectors/gpo-small.json', 'webgpu', 1e-5);
    expect(checks.filter(({ passed }) => !passed)).toEqual([]);
    expect(checks.length).toBeGreaterThan(70);
  });

  // Each at a learning rate that it is trained with, and with an epsilon far above rounding: plural's gradient is 0 but for rounding where a
  // hidden unit shifts all options of a question alike, and Adam's own epsilon makes a whole step of that.
  const optimizer = { ...ADAM_DEFAULTS, epsilon: 1e-4 };
  test.each([
    { name: 'factor', kind: factor, learningRate: 0.1 },
    { name: 'plural', kind: plural, learningRate: 0.002 },
  ])('gradient, a step and a prediction of $name are those of the CPU', async ({ kind, learningRate }) => {
    const [batch] = engineBatches(1);
    const shape = { featureWidth: batch!.width, rows: batch!.table.length / batch!.width };
    const predictor = kind.create({}, shape);
    const start = predictor.initialise((tensor) => randomStream(3, tensor));
    const results = [];
    for (const device of ['cpu', 'webgpu'] as const) {
      const engine = engineFor({ predictor, device, optimizer, features: 'float32' });
      await engine.load(start);
      await engine.begin(null);
      const { gradient } = await engine.gradient(batch!);
      await engine.step(batch!, learningRate);
      const parameters = await engine.parameters();
      results.push({ gradient, parameters, shares: await engine.predict(batch!) });
      await engine.close();
    }
    const [own, expected] = [results[1]!, results[0]!];
    expect(relativeError(own.gradient, expected.gradient)).toBeLessThan(1e-4);
    expect(relativeError(own.parameters, expected.parameters)).toBeLessThan(1e-4);
    expect(relativeError(own.shares, expected.shares)).toBeLessThan(1e-4);
  });

  test('features in float16 give nearly the same, and not the same', async () => {
    const [batch] = engineBatches(1);
    const predictions = [];
    for (const features of ['float32', 'float16'] as const) {
      const engine = engineFor({
        predictor: ENGINE_PREDICTOR,
        device: 'webgpu',
        optimizer: ADAM_DEFAULTS,
        features,
      });
      await engine.load(engineParameters());
      await engine.begin(null);
      predictions.push(await engine.predict(batch!));
      await engine.close();
    }
    const error = relativeError(predictions[1]!, predictions[0]!);
    expect(error).toBeLessThan(1e-3);
    expect(error).toBeGreaterThan(0);
  });

  const folder = temporaryFolder();
  test('no operator of a step runs on the CPU', async () => {
    const graph = ENGINE_PREDICTOR.stepGraph(ADAM_DEFAULTS, { features: 'table' });
    const session = await createSession(graph, 'webgpu', {
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    });
    const [batch] = engineBatches(1);
    const parameters = engineParameters();
    const floats = (data: Float32Array, ...dims: number[]) => ({ type: 'float32' as const, data, dims });
    const zeros = floats(new Float32Array(parameters.length), parameters.length);
    const feeds = {
      ...withParameters(ENGINE_PREDICTOR.feeds(batch!, 'table'), parameters),
      features: floats(batch!.table, batch!.table.length / batch!.width, batch!.width),
      first: zeros,
      second: zeros,
      figures: floats(Float32Array.of(1e-3, 1, 1), 3),
    };
    await session.run(
      Object.fromEntries(session.inputNames.map((name) => [name, asTensor(feedOf(feeds, name))])),
    );
    session.endProfiling();
    const [file] = readdirSync(folder);
    const events: { cat: string; name: string; args: Record<string, string> }[] = JSON.parse(
      readFileSync(join(folder, file!), 'utf8'),
    );
    const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
    const elsewhere = kernels.filter(({ args }) => args['provider'] !== 'WebGpuExecutionProvider');
    expect(kernels.length).toBeGreaterThan(200);
    expect(elsewhere.map(({ args }) => `${args['op_name']} on ${args['provider']}`)).toEqual([]);
    await session.release();
  });
});
