import { asStage } from '../core/brand.ts';
import { invariant } from '../core/errors.ts';
import type { RandomStream } from '../core/random.ts';
import type { Batch, Points } from '../predictor/batch.ts';
import { answeredQuestions, type SharedData } from './shared-data.ts';

/** How many questions a training task draws, each range inclusive. */
export interface TaskSize {
  readonly contextQuestions: readonly [min: number, max: number];
  readonly targetQuestions: readonly [min: number, max: number];
}

/** Questions of one training task. */
export interface Task {
  readonly context: readonly number[];
  readonly target: readonly number[];
}

function within(random: RandomStream, [min, max]: readonly [number, number], limit: number): number {
  const high = Math.min(max, limit);
  const low = Math.min(min, high);
  return low + random.below(high - low + 1);
}

/**
 * A task from the questions a group may train on (PluralLLM, section 3.2): disjoint context and target
 * questions, their numbers drawn from the ranges and cut to what the group has. At least one of each.
 */
export function sampleTask(random: RandomStream, questions: readonly number[], size: TaskSize): Task {
  invariant(questions.length >= 2, 'a task needs two questions');
  const order = random.shuffled(questions);
  const contextCount = within(random, size.contextQuestions, questions.length - 1);
  const targetCount = within(random, size.targetQuestions, questions.length - contextCount);
  return {
    context: order.slice(0, contextCount),
    target: order.slice(contextCount, contextCount + targetCount),
  };
}

function pointsOf(data: SharedData, group: number, questions: readonly number[]): Points {
  const answered = answeredQuestions(data, group);
  const rows = (question: number) => [data.rowOf[question]!, data.rowOf[question + 1]!] as const;
  const count = questions.reduce((sum, question) => sum + rows(question)[1] - rows(question)[0], 0);
  const points: Points = {
    rows: new Int32Array(count),
    probabilities: new Float32Array(count),
    questions: new Int32Array(count),
  };
  let position = 0;
  for (const question of questions) {
    const [start, end] = rows(question);
    for (let row = start; row < end; row++) points.rows[position + row - start] = row;
    points.questions.fill(question, position, position + end - start);
    const answer = answered.indexOf(question);
    // A target that the group never answered is predicted all the same; its share stays 0.
    if (answer >= 0) {
      const index = data.answerOf[group]! + answer;
      points.probabilities.set(data.shares.subarray(data.shareOf[index], data.shareOf[index + 1]), position);
    }
    position += end - start;
  }
  return points;
}

/** The batch of a task: rows of the features and shares of one group's context and target questions. */
export function batchOf(data: SharedData, group: number, { context, target }: Task): Batch {
  return asStage({
    width: data.width,
    table: data.features,
    context: pointsOf(data, group, context),
    target: pointsOf(data, group, target),
  });
}
