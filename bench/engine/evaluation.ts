import { median, type Row } from '../benchmark.ts';
import { OPTIONS_PER_QUESTION, PAPER_WIDTH, paperEngine, Tasks } from './tasks.ts';

const CONTEXT_QUESTIONS = 20;
const QUESTIONS = 100;
const TURNS = 7;

/** Predicting all of a group's questions in one pass, against one pass per question. */
export async function evaluationRows(): Promise<Row[]> {
  const tasks = new Tasks(PAPER_WIDTH);
  const engine = await paperEngine(PAPER_WIDTH);
  const context = CONTEXT_QUESTIONS * OPTIONS_PER_QUESTION;
  const whole = tasks.batch(context, QUESTIONS * OPTIONS_PER_QUESTION);
  const single = Array.from({ length: QUESTIONS }, () => tasks.batch(context, OPTIONS_PER_QUESTION));
  const [together, alone]: [number[], number[]] = [[], []];
  await engine.predict(whole);
  await engine.predict(single[0]!);
  for (let turn = 0; turn < TURNS; turn++) {
    let started = performance.now();
    await engine.predict(whole);
    together.push(performance.now() - started);
    started = performance.now();
    for (const batch of single) await engine.predict(batch);
    alone.push(performance.now() - started);
  }
  await engine.close();
  const ratio = median(alone.map((ms, turn) => ms / together[turn]!));
  return [
    { name: `evaluate ${QUESTIONS} questions of a group`, value: median(together), unit: 'ms' },
    {
      name: 'evaluate-batched-speedup',
      value: ratio,
      unit: 'times as fast',
      peer: 'one pass per question',
      ratio,
    },
  ];
}
