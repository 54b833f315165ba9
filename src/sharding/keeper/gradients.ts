import { PluralError } from '../../core/errors.ts';
import type { Floats } from '../parts/part-session.ts';

/** A group's gradient counts for no more than so many times the median one: far more than honest groups differ by. */
const MOST_MEDIANS = 4;

function normOf(values: Floats): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

/** Errors: NOT_FINITE for a gradient that would spoil the stage. */
export function checkGradient(gradient: Floats): void {
  if (Number.isFinite(normOf(gradient))) return;
  throw new PluralError('NOT_FINITE', 'the gradient of a task at a stage is not finite', {
    hint: 'Training diverged, or a group sent what no training gives: lower training.learningRate, or leave the group out.',
  });
}

/** Gradients of one step, those beyond some medians of all norms cut to that: while most groups are honest, no other moves a stage far. */
export function boundedGradients(gradients: readonly Floats[]): Floats[] {
  const norms = gradients.map(normOf);
  const sorted = [...norms].sort((a, b) => a - b);
  // Of two the smaller: one liar of two is not bounded by himself.
  const most = MOST_MEDIANS * (sorted[(sorted.length - 1) >> 1] ?? 0);
  return gradients.map((gradient, index) => {
    const norm = norms[index]!;
    return norm > most ? gradient.map((value) => (value * most) / norm) : gradient;
  });
}
