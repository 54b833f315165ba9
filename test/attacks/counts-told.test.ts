import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configFrom } from '../../src/config/load.ts';
import { countUnit } from '../../src/config/round-plugins.ts';
import { asStage } from '../../src/core/brand.ts';
import { maskOptions, maskSettings } from '../../src/privacy/mask/settings.ts';
import { sumOfWords, updateWords } from '../../src/privacy/secure-sum/words.ts';
import { countsOf } from '../../src/strategy/counted-rows.ts';
import { makeUpdate } from '../../src/training/make-update.ts';
import { codeOf, namesOf } from '../support/attacks.ts';
import { SHAPE } from '../support/protected-round.ts';

/** What counts of rows would tell of single groups, or be wrong about, in runs that somebody configures for it. */

const configOf = (...overrides: readonly string[]) =>
  configFrom('data: { survey: nonvoters, groups: { training: 14, unseen: 7 } }', 'test.yaml', overrides);

const PREDICTORS = ['factor', 'plural'];
/** Each of them would tell a group's answers, or its score, by what is counted in a round and not in another. */
const CHOICES = [
  ['rounds that are drawn', 'round.participation=0.5'],
  ['weights by scores: qfedavg', 'strategy={ name: qfedavg }'],
  ['weights by scores: adaptive', 'strategy={ name: adaptive }'],
] as const;
const PROTECTIONS = ['none', 'mask', 'seal'];

describe.each(PREDICTORS)('counts of %s', (predictor) => {
  test.each(CHOICES)(
    'are refused together with %s, under every protection; either alone is not',
    (_, choice) => {
      for (const protection of PROTECTIONS) {
        const made = (...more: readonly string[]) =>
          codeOf(() => configOf(`protection=${protection}`, ...more));
        expect(made(`predictor=${predictor}`, choice), protection).toBe('CONFIG_CONFLICT');
        expect(made(`predictor=${predictor}`), protection).toBeNull();
        expect(made(`predictor={ name: ${predictor}, leastGroups: null }`, choice), protection).toBeNull();
      }
    },
  );
});

describe('a clip that is far wider than what groups learn', () => {
  const COUNTED = { offset: 1, rows: 2, tensors: [{ offset: 0, width: 0 }], least: 3 };
  const clips = fc.oneof(
    fc.double({ min: 1e-6, max: 1, noNaN: true }),
    fc.double({ min: 1, max: 1e9, noNaN: true }),
  );

  /** Counts of two rows, of which `touching` groups touched the first and nobody the other. */
  function countsWith(clipValue: number, bits: number, touching: number, seed: number) {
    const protection = { bits, clipValue, mostGroups: 16 };
    const config = configOf(
      'predictor=factor',
      'strategy.weighting=equal',
      `protection=${JSON.stringify({ name: 'mask', ...protection })}`,
    );
    const unit = countUnit(config);
    const shape = { ...SHAPE, mostWeight: 1, equalWeights: true, seed };
    const settings = maskSettings(maskOptions.parse(protection), shape);
    const received = new Float32Array(3);
    const sum = namesOf(touching).map((group) => {
      const rows = { counted: COUNTED, touched: (row: number) => row === 0, unit };
      const made = { group, round: 1, weight: 1, received, trained: received, score: null, rows };
      return updateWords(makeUpdate(made), settings, new Uint8Array(32));
    });
    const words = sum.reduce((one, other) => one.map((word, at) => word + other[at]!));
    const aggregate = { round: 1, groups: namesOf(touching), ...sumOfWords(words, settings) };
    return [...countsOf(asStage(aggregate), COUNTED, { unit, mostWeight: 1 })];
  }

  test('counts exactly all the same, as a narrow one does, whatever its number and bits (property)', () => {
    fc.assert(
      fc.property(
        clips,
        fc.integer({ min: 4, max: 24 }),
        fc.integer({ min: 1, max: 14 }),
        fc.nat(),
        (clip, bits, touching, seed) => {
          expect(countsWith(clip, bits, touching, seed)).toEqual([touching, 0]);
        },
      ),
    );
  });

  test('is refused where no update of it stays finite', () => {
    const made = (clip: string) =>
      codeOf(() => configOf('predictor=factor', `protection={ name: mask, clipValue: ${clip} }`));
    expect(made('1e9')).toBeNull();
    expect(made('1e10')).toBe('CONFIG_INVALID');
  });
});
