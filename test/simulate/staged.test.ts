import { afterAll, expect, test } from 'vitest';
import { tensorOf } from '../../src/predictor/layout.ts';
import { setupOf } from '../../src/simulate/experiment.ts';
import { initialModel } from '../../src/training/initial-model.ts';
import { startPool } from '../../src/training/pool.ts';
import { temporaryFolder } from '../support/cli.ts';
import { tinyExperiment, trainTiny } from '../support/tiny-experiment.ts';

const folder = temporaryFolder();
const sizes = 'width: 8, heads: 2, feedforward: 8, embedderLayers: 2, layersPerStage: 1, loss: kl';
const experiment = tinyExperiment(
  4,
  `predictor={ name: staged, ${sizes} }`,
  'protection={ name: mask, bits: 16 }',
);
const pool = startPool(setupOf(experiment), 1);
afterAll(() => pool.close());

test('the staged transformer is trained federated under masks, and what is frozen keeps its bits', async () => {
  const { predictor, config } = experiment;
  const start = initialModel(predictor, config.seed).parameters;
  const { parameters } = (await trainTiny(experiment, { folder, pool })).model;
  const { layout } = predictor;
  for (const { name, frozen } of layout.entries) {
    const [before, after] = [tensorOf(layout, start, name), tensorOf(layout, parameters, name)];
    if (frozen) expect(after, name).toEqual(before);
    // A KL loss does not read the deviation's half of the last layer, nor does softmax the bias of the location.
    else if (name !== 'predictor.2.bias') expect(after, name).not.toEqual(before);
  }
  expect(layout.entries.filter(({ frozen }) => frozen)).toHaveLength(3 * 4 + 1);
});
