import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../src/config/config.ts';
import { randomStream } from '../../src/core/random.ts';
import type { Survey } from '../../src/data/survey.ts';
import { writeSurvey } from '../../src/data/survey-folder.ts';
import { encodeVectors } from '../../src/features/vector-file.ts';
import { runExperiment } from '../../src/simulate/run.ts';
import type { Benchmark, Row } from '../benchmark.ts';
import { syntheticSurvey } from '../synthetic-survey.ts';
import { OPTIONS_PER_QUESTION, PAPER_WIDTH } from './tasks.ts';
import { TorchPeer } from './torch-peer.ts';

/** The paper's experiment (PluralLLM, section 4) in size; answers and features are random. */
const ROUNDS = 100;
const TRAINING = 8;
const UNSEEN = 6;
const LOCAL_STEPS = 6;
const EVALUATE_EVERY = 10;
const DRAWS = 5;
const QUESTIONS = 200;
const CONTEXT = 20;
/** Questions of a task on either side. */
const TASK = [10, 100] as const;

function randomVectors({ questions }: Survey): Uint8Array {
  const random = randomStream(0, 'paper vectors');
  const ids = questions.flatMap(({ id, options }) => options.map(() => id));
  const options = Int32Array.from(questions.flatMap((question) => [...question.options.keys()]));
  const values = Float32Array.from({ length: ids.length * PAPER_WIDTH }, () => random.normal());
  return encodeVectors({ ids, options, width: PAPER_WIDTH, values });
}

/** Seconds of the run with every core. */
async function ownSeconds(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-bench-'));
  try {
    const survey = syntheticSurvey(TRAINING + UNSEEN, QUESTIONS, OPTIONS_PER_QUESTION);
    writeSurvey(join(folder, 'survey'), survey);
    writeFileSync(join(folder, 'vectors.arrow'), randomVectors(survey));
    const config = parseConfig({
      name: 'paper',
      data: { survey: join(folder, 'survey'), groups: { training: TRAINING, unseen: UNSEEN } },
      features: { name: 'arrow', path: join(folder, 'vectors.arrow') },
      protection: { name: 'none' },
      training: {
        rounds: ROUNDS,
        localSteps: LOCAL_STEPS,
        contextQuestions: TASK,
        targetQuestions: TASK,
      },
      evaluation: { every: EVALUATE_EVERY, contextQuestions: CONTEXT, draws: DRAWS },
      compare: [],
    });
    const started = performance.now();
    await runExperiment(config, { folder: join(folder, 'run'), resume: false, emit: () => {} });
    return (performance.now() - started) / 1000;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** With one thread: with two, those of torch and of Debian's OpenBLAS hinder each other, and a step takes ten times as long. */
async function peerSeconds(torch: TorchPeer): Promise<number> {
  await torch.ask({ do: 'threads', count: 1 });
  await torch.ask({ do: 'make', width: PAPER_WIDTH, options: {}, seed: 0 });
  const answer = await torch.ask({
    do: 'experiment',
    rounds: ROUNDS,
    groups: TRAINING,
    local_steps: LOCAL_STEPS,
    evaluate_every: EVALUATE_EVERY,
    evaluated_groups: TRAINING + UNSEEN,
    context: TASK,
    target: TASK,
    options_per_question: OPTIONS_PER_QUESTION,
    evaluation_context: CONTEXT,
    evaluation_targets: QUESTIONS - CONTEXT,
    draws: DRAWS,
  });
  return Number(answer['seconds']);
}

/** The whole of the paper's experiment: rounds, local training, evaluations. */
export const paper: Benchmark = {
  name: 'paper',
  describe: `the paper's experiment in size (${ROUNDS} rounds of ${TRAINING} groups), beside PyTorch where it is found: minutes`,
  run: async () => {
    const seconds = await ownSeconds();
    const rows: Row[] = [{ name: 'paper-experiment', value: seconds, unit: 's' }];
    const torch = await TorchPeer.start();
    if (typeof torch === 'string') {
      process.stderr.write(`without PyTorch: ${torch}\n`);
      return rows;
    }
    const peer = await peerSeconds(torch);
    torch.stop();
    return [
      ...rows,
      { name: 'paper-experiment-torch', value: peer, unit: 's' },
      {
        name: 'paper-experiment-vs-torch',
        value: peer / seconds,
        unit: 'times as fast',
        peer: 'PyTorch',
        ratio: peer / seconds,
      },
    ];
  },
};
