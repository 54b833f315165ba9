import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { runExperiment } from '../../src/simulate/run.ts';
import { ROOT, SMALL, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const GROUPS = ['democrat-black-30-49', 'democrat-white-65+', 'republican-white-65+'];

/** A small run of the quickstart under `seal`: its model file, and what was sent. */
async function played(name: string, ...overrides: readonly string[]) {
  const groups = `data.groups.training=${JSON.stringify(GROUPS)}`;
  const common = [groups, 'protection=seal', 'training.rounds=2', 'compare=[]', 'runtime.device=cpu'];
  const config = loadConfig(join(ROOT, 'configs/gpo.yaml'), [...SMALL, ...common, ...overrides]);
  const to = join(folder, name);
  const { record } = await runExperiment(config, {
    folder: to,
    resume: false,
    emit: () => undefined,
  });
  return { model: readFileSync(join(to, 'model.onnx')), record };
}

test('who reads the sums changes no byte of the model, and not the digest of the settings', async () => {
  const clear = await played('clear');
  const ciphertext = await played('ciphertext', 'aggregator.holds=ciphertext');
  expect(ciphertext.model.equals(clear.model)).toBe(true);
  expect(ciphertext.record.modelDigest).toBe(clear.record.modelDigest);
  expect(ciphertext.record.configDigest).toBe(clear.record.configDigest);
});

test('with one key holder too', async () => {
  const single = `protection={ name: seal-single, keyHolder: ${GROUPS[1]} }`;
  const clear = await played('single-clear', single);
  const ciphertext = await played('single-ciphertext', single, 'aggregator.holds=ciphertext');
  expect(ciphertext.model.equals(clear.model)).toBe(true);
});
