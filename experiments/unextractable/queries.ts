import { type RandomStream, randomStream } from '../../src/core/random.ts';
import type { Batch, Points } from '../../src/predictor/batch.ts';
import { batchOf } from '../../src/training/batches.ts';
import type { PredictBatch, Setting } from './setting.ts';

/** Made-up shares of each question: uniform among all distributions of its options. */
function madeUp({ questions }: Points, random: RandomStream): Float32Array {
  const weights = Float32Array.from(questions, () => -Math.log(1 - random.uniform()));
  const totals = new Map<number, number>();
  for (const [i, question] of questions.entries()) {
    totals.set(question, (totals.get(question) ?? 0) + weights[i]!);
  }
  return weights.map((weight, i) => weight / totals.get(questions[i]!)!);
}

/**
 * Queries of an attacker without data: made-up answers to as many questions as a task may tell, and the model's answers to all others. Each is a task to
 * train a student on. Features of the questions are public.
 */
export async function queriesOf(setting: Setting, predict: PredictBatch, count: number): Promise<Batch[]> {
  const { data, seed, task } = setting;
  const questions = Array.from({ length: data.rowOf.length - 1 }, (_, question) => question);
  const [least, most] = task.contextQuestions;
  const queries: Batch[] = [];
  for (let query = 0; query < count; query++) {
    const random = randomStream(seed, 'query', query);
    const order = random.shuffled(questions);
    const told = least + random.below(most - least + 1);
    const asked = batchOf(data, 0, { context: order.slice(0, told), target: order.slice(told) });
    const context = { ...asked.context, probabilities: madeUp(asked.context, random) };
    const blind = { ...asked, context };
    const answers = Float32Array.from(await predict(blind));
    queries.push({ ...blind, target: { ...asked.target, probabilities: answers } });
  }
  return queries;
}
