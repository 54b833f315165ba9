import type { ParameterLayout } from '../predictor/layout.ts';
import type { OwnRows } from '../training/make-update.ts';
import type { Config } from './config.ts';
import { countUnit } from './round-plugins.ts';
import type { TrainingInputs } from './worker-setup.ts';

/** What decides which counted rows of an update a group touches. */
type RowInputs = Pick<TrainingInputs, 'survey' | 'features' | 'heldOutQuestions'> & {
  /** That of an update. */
  readonly layout: Pick<ParameterLayout, 'counted'>;
};

/** How a group fills in the counted rows of its updates: it touches those of the questions that it may train on. Null where an update counts none. */
export function ownRows(
  config: Config,
  { survey, features, heldOutQuestions, layout }: RowInputs,
  group: number,
): OwnRows | null {
  const { counted } = layout;
  if (counted === null) return null;
  const heldOut = new Set(heldOutQuestions);
  const touched = new Uint8Array(counted.rows);
  for (const { question } of survey.answers[group]!) {
    if (!heldOut.has(question)) touched.fill(1, features.offsets[question], features.offsets[question + 1]);
  }
  return { counted, touched: (row) => touched[row] === 1, unit: countUnit(config) };
}
