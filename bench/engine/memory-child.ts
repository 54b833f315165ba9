import { LEARNING_RATE, PAPER_WIDTH, paperEngine, Tasks } from './tasks.ts';

/** Steps of ever other sizes in a process of its own; prints resident MiB early and at the end. */
const EARLY = 200;
const STEPS = 2000;

const resident = () => process.memoryUsage.rss() / 2 ** 20;
const tasks = new Tasks(PAPER_WIDTH);
const engine = await paperEngine(PAPER_WIDTH);
let early = 0;
for (let step = 1; step <= STEPS; step++) {
  await engine.step(tasks.batch(tasks.size(4, 120), tasks.size(4, 120)), LEARNING_RATE);
  if (step === EARLY) early = resident();
}
process.stdout.write(`${JSON.stringify({ early, late: resident() })}\n`);
