import type { Answer, Survey } from '../data/survey.ts';
import type { Features } from '../features/features.ts';

/**
 * Survey and features in shared memory: one copy that all workers read, whatever their number. Nobody writes
 * to it after `shareData` returns.
 */
export interface SharedData {
  readonly width: number;
  /** Feature rows, float32 [rows, width]. */
  readonly features: Float32Array;
  /** First feature row of each question, [questions + 1]. */
  readonly rowOf: Int32Array;
  /** First answer of each group, [groups + 1]. */
  readonly answerOf: Int32Array;
  /** Question of each answer, [answers]; ascending within a group. */
  readonly question: Int32Array;
  /** First share of each answer, [answers + 1]. */
  readonly shareOf: Int32Array;
  /** All shares, float32, answer by answer. */
  readonly shares: Float32Array;
}

function sharedInts(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * length));
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

/** A float32 vector in shared memory with the same content. */
export function shareFloats(values: Float32Array): Float32Array {
  const shared = sharedFloats(values.length);
  shared.set(values);
  return shared;
}

/** Packs a survey and its features for the workers. */
export function shareData(survey: Survey, features: Features): SharedData {
  const all: readonly Answer[] = survey.answers.flat();
  const shared: SharedData = {
    width: features.width,
    features: shareFloats(features.rows),
    rowOf: sharedInts(features.offsets.length),
    answerOf: sharedInts(survey.groups.length + 1),
    question: sharedInts(all.length),
    shareOf: sharedInts(all.length + 1),
    shares: sharedFloats(all.reduce((sum, { distribution }) => sum + distribution.length, 0)),
  };
  shared.rowOf.set(features.offsets);
  let answer = 0;
  for (const [group, answers] of survey.answers.entries()) {
    answer += answers.length;
    shared.answerOf[group + 1] = answer;
  }
  let share = 0;
  for (const [index, { question, distribution }] of all.entries()) {
    shared.question[index] = question;
    shared.shares.set(distribution, share);
    share += distribution.length;
    shared.shareOf[index + 1] = share;
  }
  return shared;
}

/** Questions that a group answered, ascending. */
export function answeredQuestions(data: SharedData, group: number): Int32Array {
  return data.question.subarray(data.answerOf[group], data.answerOf[group + 1]);
}
