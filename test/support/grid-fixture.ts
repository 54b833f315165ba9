import type { GridRecords } from '../../src/report/grid/records.ts';
import { recordFixture } from './record-fixture.ts';

export interface GridFixtureOptions {
  readonly seeds?: readonly number[];
  /** Lift of the federated score in each setting. */
  readonly lifts?: readonly number[];
  readonly unseenQuestions?: boolean;
  /** Value of the varied key in the last setting; long or strange ones try the page. */
  readonly lastValue?: string;
}

/** The records of a grid with two settings and three seeds, every figure a function of the seeds. */
export function gridFixture(options: GridFixtureOptions = {}): GridRecords {
  const { seeds = [7, 8, 9], lifts = [0, 0.05], unseenQuestions = false, lastValue = 'factor' } = options;
  const values = lifts.map((_, i) => (i === lifts.length - 1 ? lastValue : `predictor-${i}`));
  return {
    name: 'fixture',
    axes: [{ key: 'predictor.name', values }],
    seeds,
    settings: lifts.map((lift, i) => ({
      slug: `setting-${i}`,
      label: `predictor.name=${values[i]}`,
      short: `predictor.name ${values[i]}`,
      values: [values[i]],
      seedsDrawSplits: true,
      runs: seeds.map((seed) => ({
        seed,
        folder: `setting-${i}/seed-${seed}`,
        record: recordFixture({ seed, lift, rounds: 6, unseenQuestions }),
      })),
    })),
  };
}
