import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configFrom } from '../../src/config/load.ts';
import { runExperiment } from '../../src/simulate/run.ts';
import { openTrainedRun } from '../../src/simulate/trained-run.ts';
import { temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const QUICK = `
data: { survey: nonvoters, groups: { training: 4, unseen: 2 } }
predictor: { name: staged, width: 16, heads: 2, feedforward: 16, layersPerStage: 1, loss: kl }
sharding: {}
training: { rounds: 4, localSteps: 2, learningRate: 0.01, contextQuestions: [2, 4], targetQuestions: [2, 4] }
evaluation: { every: 4, contextQuestions: 4, draws: 1 }
compare: []
runtime: { workers: 1 }
`;

async function run(name: string, ...overrides: readonly string[]) {
  const config = configFrom(QUICK, 'quick.yaml', overrides);
  const output = join(folder, name);
  const { record } = await runExperiment(config, { folder: output, resume: false, emit: () => undefined });
  return { record, output };
}

const first = run('first');

describe('a sharded run', () => {
  test('learns, and comes to the same bits again, protected or not', async () => {
    const { record } = await first;
    const { curve } = record.methods[0]!;
    const scores = curve.map(({ summaries }) => summaries.training!.mean);
    expect(scores.at(-1)).toBeGreaterThan(scores[0]! + 0.01);
    const [again, clear] = [await run('again'), await run('clear', 'protection=none')];
    expect(again.record.modelDigest).toBe(record.modelDigest);
    // Masked sums are rounded: other bits, and a course of training that parts slowly.
    const lossesOf = ({ methods }: typeof record) => methods[0]!.curve.map(({ loss }) => loss ?? 0);
    expect(clear.record.modelDigest).not.toBe(record.modelDigest);
    expect(Math.abs(lossesOf(clear.record).at(-1)! - lossesOf(record).at(-1)!)).toBeLessThan(0.01);
  });

  test('goes on where it was stopped, to the same bits', async () => {
    const { record, output } = await first;
    const controller = new AbortController();
    const stopped = join(folder, 'stopped');
    const half = runExperiment(configFrom(QUICK, 'quick.yaml', []), {
      ...{ folder: stopped, resume: false, signal: controller.signal },
      emit: (event) => {
        if (event.type === 'round' && event.round === 2) controller.abort();
      },
    });
    await expect(half).rejects.toMatchObject({ code: 'INTERRUPTED' });
    const config = configFrom(QUICK, 'quick.yaml', []);
    const resumed = await runExperiment(config, { folder: stopped, resume: true, emit: () => undefined });
    expect(resumed.record.modelDigest).toBe(record.modelDigest);
    expect(resumed.record.methods).toEqual(record.methods);
    expect(readFileSync(join(stopped, 'metrics.jsonl'))).toEqual(readFileSync(join(output, 'metrics.jsonl')));
  });

  test('leaves no model that could be taken along, and says so', async () => {
    const { output } = await first;
    expect(readdirSync(output)).toContain('result.json');
    expect(readdirSync(output)).not.toContain('model.onnx');
    await expect(openTrainedRun(output, [], () => undefined)).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
      message: expect.stringContaining('keepers'),
    });
  });

  test('with morphs in other rounds is the same but for rounding, with noise on the cut it is another', async () => {
    const { record } = await first;
    const scoreOf = ({ record: { methods } }: Awaited<ReturnType<typeof run>>) =>
      methods[0]!.summaries.training!.mean;
    const score = scoreOf(await first);
    const seldom = await run('seldom', 'sharding={ epochRounds: 3 }');
    expect(seldom.record.modelDigest).not.toBe(record.modelDigest);
    expect(Math.abs(scoreOf(seldom) - score)).toBeLessThan(1e-4);
    expect(Math.abs(scoreOf(await run('noisy', 'sharding={ cutNoise: 1 }')) - score)).toBeGreaterThan(1e-3);
  });

  test('counts the bytes of its frames', async () => {
    const { record } = await first;
    const short = await run('short', 'sharding={ frames: int8 }');
    const plain = await run('plain', 'sharding=null');
    const sent = ({ bytes }: typeof record) => bytes.uploadPerGroupPerRound;
    expect(sent(short.record)).toBeLessThan(sent(record));
    expect(plain.record.bytes.uploadPerParameter).toBeLessThan(record.bytes.uploadPerParameter);
  });
});
