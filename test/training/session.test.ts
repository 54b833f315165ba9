import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emitOnnx } from '../../src/graph/emit.ts';
import * as g from '../../src/graph/ops.ts';
import { DEVICES, installedDevices, resolveDevice } from '../../src/training/device.ts';
import { selfCheck } from '../../src/training/self-check.ts';
import { type GraphSession, openSession } from '../../src/training/session.ts';

const X = g.input('x', ['N']);
const MODEL = emitOnnx({ doubled: g.add(X, X) }, { name: 'double' });
const feed = (...values: readonly number[]) => ({
  x: { type: 'float32' as const, data: Float32Array.from(values), dims: [values.length] },
});

describe('devices', () => {
  test('auto is the CPU, which is always there', () => {
    expect(installedDevices()).toContain('cpu');
    expect(resolveDevice('auto')).toBe('cpu');
    for (const device of installedDevices()) expect(resolveDevice(device)).toBe(device);
  });

  test('one that is not installed, or not known, is DEVICE_UNAVAILABLE with the list of what is there', () => {
    const installed = installedDevices();
    const missing = [...DEVICES.filter((name) => name !== 'auto' && !installed.includes(name)), 'abacus'];
    // No system has both Apple's and Microsoft's.
    expect(missing.length).toBeGreaterThan(1);
    for (const device of missing) {
      expect(() => resolveDevice(device)).toThrow(
        expect.objectContaining({
          code: 'DEVICE_UNAVAILABLE',
          message: expect.stringContaining(`"${device}"`),
          hint: expect.stringContaining(`auto, ${installed.join(', ')}`),
        }),
      );
    }
  });

  test('the self-check says of a working device that it works, and of another why not, without throwing', async () => {
    expect(await selfCheck('cpu')).toMatchObject({
      works: true,
      remark: expect.stringContaining('relative error'),
    });
    const missing = DEVICES.find((name) => name !== 'auto' && !installedDevices().includes(name));
    if (missing === undefined || missing === 'auto') throw new Error('every device is installed here');
    const { works, remark } = await selfCheck(missing);
    expect(works).toBe(false);
    expect(remark.length).toBeGreaterThan(10);
  });
});

describe('sessions', () => {
  let session: GraphSession;
  beforeAll(async () => {
    session = await openSession(MODEL, 'cpu');
  });
  afterAll(() => session.close());

  test('outputs belong to the caller: the next run does not change them', async () => {
    const first = (await session.run(feed(1, 2)))['doubled']!;
    const second = (await session.run(feed(10, 20)))['doubled']!;
    expect([...first]).toEqual([2, 4]);
    expect([...second]).toEqual([20, 40]);
  });

  test('feeds that the model has no input for are left out; a missing one is a fault', async () => {
    const { doubled } = await session.run({ ...feed(3), y: feed(1).x });
    expect([...doubled!]).toEqual([6]);
    await expect(session.run({})).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining('x'),
    });
  });

  test('what ONNX Runtime cannot run is ENGINE_FAILED in its own words', async () => {
    const wrong = { x: { type: 'int32' as const, data: Int32Array.of(1), dims: [1] } };
    await expect(session.run(wrong)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    await expect(openSession(Uint8Array.of(1, 2, 3), 'cpu')).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('cpu'),
    });
  });

  test('a device that cannot be opened is DEVICE_UNAVAILABLE', async () => {
    await expect(openSession(MODEL, 'coreml' as const)).rejects.toMatchObject({
      code: process.platform === 'darwin' ? expect.any(String) : 'DEVICE_UNAVAILABLE',
      hint: expect.stringContaining('doctor'),
    });
  });
});
