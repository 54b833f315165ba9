import { afterAll, describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { asStage } from '../../src/core/brand.ts';
import { setupOf } from '../../src/simulate/experiment.ts';
import { initialModel } from '../../src/training/initial-model.ts';
import { startPool } from '../../src/training/pool.ts';
import { Parts } from '../../src/wire/parts.ts';
import { temporaryFolder } from '../support/cli.ts';
import { tinyExperiment, trainTiny } from '../support/tiny-experiment.ts';

const folder = temporaryFolder();
const GROUPS = 4;
const PARTS = 4;

/** The same in every round, so that a shorter run is the beginning of a longer one. Cut off after it was checked: a run of fewer rounds than parts is refused. */
function experimentOf(rounds: number, ...overrides: readonly string[]) {
  const longest = [`training.rounds=${PARTS}`, 'training.schedule=constant'];
  const experiment = tinyExperiment(GROUPS, ...longest, ...overrides);
  const { config } = experiment;
  const cut: Config = asStage({ ...config, training: { ...config.training, rounds } });
  return { ...experiment, config: cut };
}

const pool = startPool(setupOf(experimentOf(1)), 1);
afterAll(() => pool.close());

const { predictor, config } = experimentOf(1);
const { size } = predictor.layout;
const parts = new Parts({ seed: config.seed, parts: PARTS, parameters: size, always: null });

const IN_CLEAR = 'protection=none';
const MASKED = 'protection={ name: mask, bits: 24, mostGroups: 8, clipValue: 0.2 }';
const IN_PARTS = `updates.parts=${PARTS}`;

const trained = (rounds: number, ...overrides: readonly string[]) =>
  trainTiny(experimentOf(rounds, ...overrides), { folder, pool });

/** Parameters at the start and after each round. */
async function modelsOf(...overrides: readonly string[]): Promise<Float32Array[]> {
  const models = [initialModel(predictor, config.seed).parameters];
  for (let rounds = 1; rounds <= PARTS; rounds++) {
    models.push((await trained(rounds, IN_PARTS, ...overrides)).model.parameters);
  }
  return models;
}

describe('rounds that send a part of the parameters', () => {
  test('change those alone, and under mask as in clear but for the rounding of the grid', async () => {
    const [masked, clear] = [await modelsOf(MASKED), await modelsOf(IN_CLEAR)];
    // A step of the grid for each group, of a mean over weights that sum up to more than the largest.
    const rounding = (GROUPS * 0.2) / (2 ** 23 - 1) + 2 ** -22;
    for (let round = 1; round <= PARTS; round++) {
      const sent = new Set(parts.positionsOf(round));
      let moved = 0;
      for (let position = 0; position < size; position++) {
        const change = masked[round]![position]! - masked[round - 1]![position]!;
        if (!sent.has(position)) expect(change).toBe(0);
        else if (change !== 0) moved++;
      }
      expect(moved).toBeGreaterThan(sent.size / 2);
    }
    // The groups of both train from the same bytes in the first round only; later, small differences grow.
    for (const [position, value] of masked[1]!.entries())
      expect(Math.abs(value - clear[1]![position]!)).toBeLessThan(rounding);
  });

  test.each([
    ['in clear', IN_CLEAR, 4],
    ['under mask', 'protection={ name: mask, bits: 4, mostGroups: 8 }', 7 / 8],
  ])('send as much less, %s', async (_, protection, bytesEach) => {
    const [whole, part] = [await trained(PARTS, protection), await trained(PARTS, protection, IN_PARTS)];
    const less = GROUPS * (PARTS - 1) * size * bytesEach;
    const messages = GROUPS * PARTS;
    // Each is rounded to whole bytes, and says its length in one to five more.
    expect(Math.abs(whole.traffic.uploaded - part.traffic.uploaded - less)).toBeLessThan(6 * messages);
  });

  test('are opened by the groups to the same model as by the aggregator', async () => {
    const sealed = (holds: string) =>
      trained(2, 'protection={ name: seal, mostGroups: 8 }', `aggregator.holds=${holds}`, 'updates.parts=2');
    const [clear, ciphertext] = [await sealed('clear'), await sealed('ciphertext')];
    expect(ciphertext.model.digest).toBe(clear.model.digest);
  });
});
