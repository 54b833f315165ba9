import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configFrom } from '../../src/config/load.ts';
import { roundPlugins } from '../../src/config/round-plugins.ts';
import { asStage } from '../../src/core/brand.ts';
import { maskOptions, maskSettings } from '../../src/privacy/mask/settings.ts';
import { sumOfWords, updateWords } from '../../src/privacy/secure-sum/words.ts';
import { weightBounds } from '../../src/strategy/weight-bounds.ts';
import { SHAPE } from '../support/protected-round.ts';

const CLIP = 0.25;
const GROUPS = 6;
const PARAMETERS = 40;

function pluginsOf(strategy: string, protection: string, questions: number) {
  const config = configFrom('data: { survey: nonvoters, groups: { training: 14, unseen: 7 } }', 'test.yaml', [
    `strategy=${strategy}`,
    `protection=${protection}`,
  ]);
  return roundPlugins(config, questions, { size: PARAMETERS, counted: null });
}

const strategies = fc.oneof(
  fc.double({ min: 0.1, max: 5, noNaN: true }).map((q) => ({ name: 'qfedavg', q })),
  fc.double({ min: 0.1, max: 2, noNaN: true }).map((temperature) => ({ name: 'adaptive', temperature })),
);
/** Scores of groups that the model predicts well: with a large q their weights are smallest. */
const scores = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: GROUPS, maxLength: GROUPS });
const runs = fc.record({
  strategy: strategies,
  weighting: fc.constantFrom('questions', 'equal'),
  bits: fc.integer({ min: 4, max: 16 }),
  questions: fc.integer({ min: 1, max: 5000 }),
  scores: fc.oneof(scores, fc.constant(Array<number>(GROUPS).fill(1))),
});

describe('weights that follow from scores, on a grid', () => {
  test('never all vanish, however few its bits: the mean of updates stays within twice the clip (property)', () => {
    fc.assert(
      fc.property(runs, ({ strategy: named, weighting, bits, questions, scores: told }) => {
        const protection = { name: 'mask', bits, mostGroups: 16, clipValue: CLIP };
        const chosen = JSON.stringify({ ...named, weighting });
        const { strategy } = pluginsOf(chosen, JSON.stringify(protection), questions);
        const bounds = weightBounds(strategy, questions);
        const { name: _, ...options } = protection;
        const settings = maskSettings(maskOptions.parse(options), {
          ...SHAPE,
          parameters: PARAMETERS,
          mostWeight: bounds.most,
        });
        const sum = new Uint32Array(PARAMETERS + 4 * 5);
        let length = 0;
        for (const [index, score] of told.entries()) {
          const weight = strategy.weightOf({ questions: 1 + ((index * 7) % questions), score });
          expect(weight).toBeGreaterThanOrEqual(bounds.least);
          expect(weight).toBeLessThanOrEqual(bounds.most);
          const delta = new Float32Array(PARAMETERS).fill(index % 2 === 0 ? 1 : -1);
          const update = { group: `g${index}`, round: 1, weight, delta, score: null };
          const words = updateWords(asStage(update), settings, new Uint8Array(32));
          length = words.length;
          for (const [at, word] of words.entries()) sum[at]! += word;
        }
        const { weightedSum, totalWeight } = sumOfWords(sum.subarray(0, length), settings);
        expect(totalWeight).toBeGreaterThan(0);
        for (const value of weightedSum) expect(Math.abs(value / totalWeight)).toBeLessThan(2.02 * CLIP);
      }),
    );
  });

  test('differ as before where the grid has room for them, under every protection', () => {
    const weights = (protection: string) => {
      const { strategy } = pluginsOf('{ name: qfedavg, q: 2 }', protection, 80);
      return [0, 0.5, 0.9].map((score) => strategy.weightOf({ questions: 40, score }));
    };
    expect(weights('mask')).toEqual(weights('none'));
    expect(weights('seal')).toEqual(weights('none'));
    expect(weights('{ name: seal, bits: 8 }').at(-1)).toBe(80 / 127);
  });

  test('are those of the questions alone where no score counts', () => {
    const { strategy } = pluginsOf('fedavg', '{ name: mask, bits: 4, mostGroups: 16 }', 80);
    expect(strategy.weightOf({ questions: 1, score: null })).toBe(1);
  });
});
