import { randomStream } from '../core/random.ts';
import type { Batch } from '../predictor/batch.ts';
import { batchOf, sampleTask, type Task } from './batches.ts';
import type { Asked, WorkerSetup } from './jobs.ts';
import { answeredQuestions, type SharedData } from './shared-data.ts';

/** Target points of one prediction pass: bounds the memory of questions x questions. */
export const MOST_TARGET_POINTS = 1024;

/** The training task of a group in a step: a function of (seed, stream, step) alone, whoever trains on it. */
export function taskOf(
  { data, seed, task, heldOutQuestions }: Pick<WorkerSetup, 'data' | 'seed' | 'task' | 'heldOutQuestions'>,
  group: number,
  stream: readonly (string | number)[],
  step: number,
): Task {
  const heldOut = new Set(heldOutQuestions);
  const questions = Array.from(answeredQuestions(data, group)).filter((question) => !heldOut.has(question));
  return sampleTask(randomStream(seed, 'task', ...stream, step), questions, task);
}

/** Splits targets into runs of whole questions of at most `MOST_TARGET_POINTS` points. */
function chunks(targets: readonly number[], pointsOf: (question: number) => number): number[][] {
  const result: number[][] = [];
  let points = Number.POSITIVE_INFINITY;
  for (const question of targets) {
    points += pointsOf(question);
    if (points > MOST_TARGET_POINTS) {
      result.push([]);
      points = pointsOf(question);
    }
    result.at(-1)!.push(question);
  }
  return result;
}

/** What is to be predicted of a group in passes of whole questions, in order. */
export function predictionBatches(data: SharedData, { group, context, target }: Asked): Batch[] {
  const pointsOf = (question: number) => data.rowOf[question + 1]! - data.rowOf[question]!;
  return chunks(target, pointsOf).map((some) => batchOf(data, group, { context, target: some }));
}

/** The predictions of some passes, one after the other. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}
