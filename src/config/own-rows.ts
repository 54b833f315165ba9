import type { OwnRows } from '../training/make-update.ts';
import type { Config } from './config.ts';
import { countUnit } from './round-plugins.ts';
import type { TrainingInputs } from './worker-setup.ts';

/** How a group fills in the counted rows of its updates: it touches those of the questions that it may train on. Null where the predictor counts none. */
export function ownRows(
  config: Config,
  { survey, features, predictor, heldOutQuestions }: Omit<TrainingInputs, 'device'>,
  group: number,
): OwnRows | null {
  const { counted } = predictor.layout;
  if (counted === null) return null;
  const heldOut = new Set(heldOutQuestions);
  const touched = new Uint8Array(counted.rows);
  for (const { question } of survey.answers[group]!) {
    if (!heldOut.has(question)) touched.fill(1, features.offsets[question], features.offsets[question + 1]);
  }
  return { counted, touched: (row) => touched[row] === 1, unit: countUnit(config) };
}
