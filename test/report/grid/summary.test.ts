import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SPLITS, type Summary } from '../../../src/evaluate/evaluation.ts';
import { averageRecords } from '../../../src/report/grid/average.ts';
import { spreadOf } from '../../../src/report/grid/spread.ts';
import { summariseGrid } from '../../../src/report/grid/summary.ts';
import { gridFixture } from '../../support/grid-fixture.ts';

/** Welford's recurrence: another way to the mean and the sample standard deviation than the sums of the source. */
function welford(values: readonly number[]): { mean: number; spread: number } {
  let mean = 0;
  let squares = 0;
  values.forEach((value, i) => {
    const before = value - mean;
    mean += before / (i + 1);
    squares += before * (value - mean);
  });
  return { mean, spread: Math.sqrt(squares / (values.length - 1)) };
}

describe('a figure over the seeds', () => {
  it('has the mean and the sample standard deviation', () => {
    // 2, 4, 9: mean 5, squares 9 + 1 + 16 = 26, over 2 is 13.
    expect(spreadOf([2, 4, 9])).toEqual({ perSeed: [2, 4, 9], mean: 5, spread: Math.sqrt(13) });
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 9 }),
        (values) => {
          const { mean, spread } = spreadOf(values);
          expect(mean).toBeCloseTo(welford(values).mean, 10);
          expect(spread).toBeCloseTo(welford(values).spread, 10);
        },
      ),
    );
  });

  it('has no spread for one seed, and leaves out seeds without the figure', () => {
    expect(spreadOf([0.5])).toEqual({ perSeed: [0.5], mean: 0.5, spread: null });
    expect(spreadOf([1, null, 3])).toEqual({ perSeed: [1, null, 3], mean: 2, spread: Math.SQRT2 });
    expect(spreadOf([null, undefined])).toEqual({ perSeed: [null, null], mean: null, spread: null });
  });
});

const FIGURES: readonly (keyof Summary)[] = [
  'mean',
  'worst',
  'meanOverQuestions',
  'coefficientOfVariation',
  'fairnessIndex',
  'questionFairness',
  'meanDistanceBase2',
  'calibrationError',
];

describe('the summary of a grid', () => {
  const records = gridFixture({ unseenQuestions: true });
  const summary = summariseGrid(records);

  it('has every figure of every setting, method and split, as computed from the records', () => {
    let compared = 0;
    records.settings.forEach(({ runs }, s) => {
      for (const { id } of runs[0]!.record.methods) {
        const own = runs.map(({ record }) => record.methods.find((method) => method.id === id)!);
        const shown = summary.settings[s]!.methods.find((method) => method.id === id)!;
        for (const split of SPLITS) {
          if (own[0]!.summaries[split] === undefined) {
            expect(shown.splits[split]).toBeUndefined();
            continue;
          }
          for (const figure of FIGURES) {
            const perSeed = own.map((method) => method.summaries[split]![figure]!);
            const { mean, spread } = welford(perSeed);
            const found = shown.splits[split]![figure];
            expect(found.perSeed).toEqual(perSeed);
            expect(found.mean).toBeCloseTo(mean, 12);
            expect(found.spread).toBeCloseTo(spread, 12);
            compared++;
          }
        }
      }
    });
    // Two settings, seven methods on three splits, two of them without new questions, eight figures.
    expect(compared).toBe(2 * (7 * 3 - 2) * 8);
  });

  it('gives bytes of a group, seconds and convergence', () => {
    const [setting] = summary.settings;
    const [run] = records.settings[0]!.runs;
    const { bytes, split, phases, methods } = run!.record;
    expect(setting?.bytes.uploadedPerGroup.perSeed[0]).toBe(bytes.uploadTotal / split.trainingGroups.length);
    expect(setting?.bytes.downloadedPerGroup.perSeed[0]).toBe(
      bytes.downloadTotal / split.trainingGroups.length,
    );
    expect(setting?.seconds.perSeed).toHaveLength(3);
    expect(setting?.seconds.perSeed[0]).toBeCloseTo(
      phases.reduce((sum, phase) => sum + phase.seconds, 0),
      10,
    );
    const federated = methods.find(({ id }) => id === 'federated')?.convergence;
    const shown = setting?.methods.find(({ id }) => id === 'federated')?.convergence;
    expect([shown?.round.perSeed[0], shown?.step.perSeed[0]]).toEqual([federated?.round, federated?.step]);
    const baseline = setting?.methods.find(({ id }) => id === 'uniform')?.convergence;
    expect(baseline?.round).toEqual({ perSeed: [null, null, null], mean: null, spread: null });
  });

  it('names every run with its digests and commit', () => {
    expect(summary.cells).toHaveLength(6);
    for (const [i, { folder, seed, configDigest, modelDigest, commit }] of summary.cells.entries()) {
      const { record } = records.settings.flatMap(({ runs }) => runs)[i]!;
      expect(folder).toContain(`seed-${seed}`);
      expect([seed, configDigest, modelDigest]).toEqual([
        record.seed,
        record.configDigest,
        record.modelDigest,
      ]);
      expect(commit).toBe(record.environment.commit);
    }
  });

  it('depends on the order of the seeds in its lists alone', () => {
    const turned = {
      ...records,
      settings: records.settings.map((s) => ({ ...s, runs: [...s.runs].reverse() })),
    };
    const mean = (s: ReturnType<typeof summariseGrid>) => s.settings[1]?.methods[1]?.splits.unseen?.mean;
    const there = mean(summary);
    const back = mean(summariseGrid(turned));
    expect(back?.perSeed).toEqual([...(there?.perSeed ?? [])].reverse());
    expect(back?.mean).toBeCloseTo(there?.mean ?? Number.NaN, 12);
    expect(back?.spread).toBeCloseTo(there?.spread ?? Number.NaN, 12);
  });
});

describe('the average of runs', () => {
  const records = gridFixture({ seeds: [7, 8] }).settings[0]!.runs.map(({ record }) => record);
  const { methods } = averageRecords(records);
  const federated = (index: number) => records[index]!.methods.find(({ id }) => id === 'federated')!;
  const average = methods.find(({ id }) => id === 'federated')!;

  it('averages a group over the seeds with which it was in the split', () => {
    const groups = new Set(records.flatMap(({ split }) => split.unseenGroups));
    const unseen = average.scores.filter(({ split }) => split === 'unseen');
    expect(new Set(unseen.map(({ group }) => group))).toEqual(groups);
    // The seeds of the fixture draw other groups: some are unseen once, some twice.
    const counts = unseen.map(({ group, alignment }) => {
      const own = [0, 1].flatMap((i) =>
        federated(i)
          .scores.filter((score) => score.split === 'unseen' && score.group === group)
          .map((score) => score.alignment),
      );
      expect(alignment).toBeCloseTo(own.reduce((sum, value) => sum + value, 0) / own.length, 12);
      return own.length;
    });
    expect(new Set(counts)).toEqual(new Set([1, 2]));
  });

  it('has every figure, and the calibration error where it was measured', () => {
    const own = [0, 1].map((i) => federated(i).summaries.unseen!);
    for (const figure of FIGURES) {
      expect(average.summaries.unseen?.[figure]).toBeCloseTo((own[0]![figure]! + own[1]![figure]!) / 2, 12);
    }
    const unmeasured = records.map((record) => ({
      ...record,
      methods: record.methods.map((method) => {
        const { calibrationError: _, ...unseen } = method.summaries.unseen!;
        return { ...method, summaries: { unseen } };
      }),
    }));
    const { calibrationError: _, ...rest } = average.summaries.unseen!;
    const again = averageRecords(unmeasured).methods.find(({ id }) => id === 'federated')!;
    expect(again.summaries).toEqual({ unseen: rest });
  });

  it('averages curves round by round', () => {
    expect(average.curve.map(({ round }) => round)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    average.curve.forEach(({ summaries }, round) => {
      const own = [0, 1].map((i) => federated(i).curve[round]!.summaries.unseen!.mean);
      expect(summaries.unseen?.mean).toBeCloseTo((own[0]! + own[1]!) / 2, 12);
    });
  });
});
