import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { takeLock } from '../../../src/core/lock-file.ts';
import { writeSurvey } from '../../../src/data/survey-folder.ts';
import { gridIn } from '../../../src/simulate/grid/definition.ts';
import type { GridEvent } from '../../../src/simulate/grid/events.ts';
import { type Grid, gridOver, type SeedChoice } from '../../../src/simulate/grid/grid.ts';
import { readGridRecords, runGrid } from '../../../src/simulate/grid/run-grid.ts';
import { temporaryFolder } from '../../support/cli.ts';
import { tinySurvey } from '../../support/tiny-survey.ts';

const root = temporaryFolder();
const survey = join(root, 'survey');
writeSurvey(survey, tinySurvey({ groups: 6, questions: 14 }));

const BASE = {
  name: 'tiny',
  data: { survey, groups: { training: 3, unseen: 2 } },
  predictor: { name: 'gpo', width: 8, layers: 1, heads: 2, feedforward: 8 },
  training: { rounds: 2, contextQuestions: [3, 5], targetQuestions: [3, 5] },
  evaluation: { every: 1, contextQuestions: 4, draws: 1 },
  protection: 'none',
  compare: ['group-mean'],
  runtime: { workers: 1 },
};
const AXES = [{ key: 'training.localSteps', values: [1, 2] }];
const gridWith = (seeds: SeedChoice = { count: 2 }, axes = AXES): Grid => gridOver(BASE, axes, seeds);

interface Played {
  readonly resume?: boolean;
  readonly grid?: Grid;
  /** Stops the grid after so many events of this type. */
  readonly stop?: { readonly type: string; readonly after: number };
}

async function play(folder: string, { resume = false, grid = gridWith(), stop }: Played = {}) {
  const interrupt = new AbortController();
  const cells: GridEvent[] = [];
  const failed: GridEvent[] = [];
  let seen = 0;
  const outcome = runGrid(grid, {
    folder,
    resume,
    signal: interrupt.signal,
    emit: (event) => {
      if (event.type === 'cell') cells.push(event);
      if (event.type === 'cell-failed') failed.push(event);
      if (event.type === stop?.type && ++seen === stop.after) interrupt.abort();
    },
  });
  return { outcome, cells, failed };
}

/** What must not depend on interruptions: everything but the time that runs took. */
function timeless(folder: string): string {
  const summary: { settings: { seconds?: unknown }[] } = JSON.parse(
    readFileSync(join(folder, 'summary.json'), 'utf8'),
  );
  for (const setting of summary.settings) delete setting.seconds;
  return JSON.stringify(summary, null, 2);
}

const states = (cells: readonly GridEvent[]) => cells.map((cell) => (cell.type === 'cell' ? cell.state : ''));
const first = 'local-steps-1/seed-0';

describe('a grid of runs', () => {
  const whole = join(root, 'whole');
  const files = ['grid.json', 'summary.json', 'report.html', `${first}/result.json`, `${first}/model.onnx`];

  it('leaves a run in every cell, the definition, the summary and the page', async () => {
    const { outcome, cells } = await play(whole);
    const { records, summary } = await outcome;
    for (const name of files) expect(existsSync(join(whole, name)), name).toBe(true);
    expect(states(cells)).toEqual(['new', 'new', 'new', 'new']);
    expect(summary).toEqual(JSON.parse(readFileSync(join(whole, 'summary.json'), 'utf8')));
    expect(new Set(summary.cells.map(({ modelDigest }) => modelDigest)).size).toBe(4);
    expect(readGridRecords(whole)).toEqual(records);
    expect(existsSync(join(whole, 'grid.lock'))).toBe(false);
  });

  it.each([
    ['after the first cell', { type: 'done', after: 1 }, ['finished', 'new', 'new', 'new']],
    ['in the middle of the second', { type: 'round', after: 3 }, ['finished', 'resumed', 'new', 'new']],
  ] as const)('stopped %s goes on to the same summary', async (when, stop, expected) => {
    const folder = join(root, when.replaceAll(' ', '-'));
    const stopped = await play(folder, { stop });
    await expect(stopped.outcome).rejects.toMatchObject({
      code: 'INTERRUPTED',
      hint: expect.stringContaining(`run ${folder} --resume`),
    });
    expect(existsSync(join(folder, 'summary.json'))).toBe(false);
    const before = statSync(join(folder, first, 'result.json')).mtimeMs;
    // From the folder alone, as its definition is frozen there.
    const { outcome, cells } = await play(folder, { resume: true, grid: gridIn(folder, []) });
    await outcome;
    expect(states(cells)).toEqual(expected);
    expect(statSync(join(folder, first, 'result.json')).mtimeMs).toBe(before);
    expect(timeless(folder)).toBe(timeless(whole));
  });

  it('goes on where a process was killed before a cell had its configuration, or its record was damaged', async () => {
    const folder = join(root, 'killed');
    const stopped = await play(folder, { stop: { type: 'done', after: 1 } });
    await expect(stopped.outcome).rejects.toMatchObject({ code: 'INTERRUPTED' });
    mkdirSync(join(folder, 'local-steps-1/seed-1/checkpoints'), { recursive: true });
    writeFileSync(join(folder, 'local-steps-1/seed-1/config.yaml.1.tmp'), 'half');
    writeFileSync(join(folder, first, 'result.json'), '{"half');
    // The lock of a process that is no more.
    writeFileSync(join(folder, 'grid.lock'), JSON.stringify({ pid: 2 ** 22 + 1, began: null }));
    const { outcome, cells } = await play(folder, { resume: true });
    await outcome;
    expect(states(cells)).toEqual(['resumed', 'new', 'new', 'new']);
    expect(timeless(folder)).toBe(timeless(whole));
  });

  it('runs the other cells where one fails, then ends with its error, and tries it again', async () => {
    const folder = join(root, 'failing');
    const stopped = await play(folder, { stop: { type: 'done', after: 1 } });
    await expect(stopped.outcome).rejects.toMatchObject({ code: 'INTERRUPTED' });
    const own = readFileSync(join(folder, first, 'result.json'));
    const other = readFileSync(join(whole, 'local-steps-2/seed-1/result.json'));
    writeFileSync(join(folder, first, 'result.json'), other);
    const { outcome, cells, failed } = await play(folder, { resume: true });
    await expect(outcome).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: expect.stringMatching(/^1 of 4 runs failed: training\.localSteps=1, seed 0: .*other settings/),
      hint: expect.stringContaining(`run ${folder} --resume`),
    });
    expect(failed).toMatchObject([
      { number: 1, cells: 4, folder: join(folder, first), setting: 'training.localSteps=1', seed: 0 },
    ]);
    expect(states(cells)).toEqual(['new', 'new', 'new']);
    for (const name of ['summary.json', 'report.html', 'grid.lock']) {
      expect(existsSync(join(folder, name)), name).toBe(false);
    }
    writeFileSync(join(folder, first, 'result.json'), own);
    const again = await play(folder, { resume: true });
    await again.outcome;
    expect(states(again.cells)).toEqual(['finished', 'finished', 'finished', 'finished']);
    expect(timeless(folder)).toBe(timeless(whole));
  });

  it('counts what failed and what is done, also where it is stopped', async () => {
    const axes = [{ key: 'training.learningRate', values: [1e30, 0.001] }];
    const grid = gridWith({ count: 2 }, axes);
    const folder = join(root, 'diverging');
    const stopped = await play(folder, { grid, stop: { type: 'done', after: 1 } });
    await expect(stopped.outcome).rejects.toMatchObject({
      code: 'INTERRUPTED',
      message: expect.stringContaining('1 of 4 runs are done, 2 failed'),
    });
    const { outcome, cells, failed } = await play(folder, { resume: true, grid });
    await expect(outcome).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(/^2 of 4 runs failed: the first is training\.learningRate=.*, seed 0: /),
    });
    expect(failed).toMatchObject([
      { seed: 0, code: 'NOT_FINITE' },
      { seed: 1, code: 'NOT_FINITE' },
    ]);
    expect(states(cells)).toEqual(['resumed', 'resumed', 'finished', 'new']);
    expect(existsSync(join(folder, 'summary.json'))).toBe(false);
  });

  it('takes seeds after those it has, runs those alone, and comes to the summary of all', async () => {
    const folder = join(root, 'grown');
    const { outcome: small } = await play(folder, { grid: gridWith({ list: [0] }) });
    await small;
    const before = statSync(join(folder, first, 'result.json')).mtimeMs;
    // Stopped before the first new run is done: the folder alone says which seeds it has now.
    const grown = await play(folder, { resume: true, stop: { type: 'begin', after: 1 } });
    await expect(grown.outcome).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(gridIn(folder, []).seeds).toEqual([0, 1]);
    const { outcome, cells } = await play(folder, { resume: true, grid: gridIn(folder, []) });
    await outcome;
    expect(states(cells)).toEqual(['finished', 'resumed', 'finished', 'new']);
    expect(statSync(join(folder, first, 'result.json')).mtimeMs).toBe(before);
    expect(readFileSync(join(folder, 'grid.json'), 'utf8')).toBe(
      readFileSync(join(whole, 'grid.json'), 'utf8'),
    );
    expect(timeless(folder)).toBe(timeless(whole));
  });

  it('takes no seeds while another process has the folder', async () => {
    const before = readFileSync(join(whole, 'grid.json'), 'utf8');
    const unlock = takeLock(join(whole, 'grid.lock'), 'the grid');
    const { outcome } = await play(whole, { resume: true, grid: gridWith({ count: 3 }) });
    await expect(outcome).rejects.toMatchObject({ code: 'FOLDER_IN_USE' });
    unlock();
    expect(readFileSync(join(whole, 'grid.json'), 'utf8')).toBe(before);
  });

  it('does not touch a grid that is not the one asked for', async () => {
    const before = readFileSync(join(whole, 'grid.json'), 'utf8');
    const refused = async (played: Played, code: string, words: string) => {
      await expect((await play(whole, played)).outcome).rejects.toMatchObject({
        code,
        message: expect.stringContaining(words),
      });
    };
    await refused({}, 'RUN_EXISTS', 'already holds a grid');
    for (const list of [[0], [1], [1, 0], [0, 2], [2, 0, 1]]) {
      const yours = `seeds are 0, 1, yours ${list.join(', ')}`;
      await refused({ resume: true, grid: gridWith({ list }) }, 'CHECKPOINT_MISMATCH', yours);
    }
    const axes = [{ key: 'training.localSteps', values: [1, 3] }];
    await refused(
      { resume: true, grid: gridWith({ count: 2 }, axes) },
      'CHECKPOINT_MISMATCH',
      'other keys or values',
    );
    const changed = gridIn(whole, ['training.rounds=3']);
    await refused({ resume: true, grid: changed }, 'CHECKPOINT_MISMATCH', `the configuration of ${first}`);
    const longer = gridOver({ ...BASE, training: { ...BASE.training, rounds: 3 } }, AXES, { count: 3 });
    await refused({ resume: true, grid: longer }, 'CHECKPOINT_MISMATCH', `the configuration of ${first}`);
    expect(existsSync(join(whole, 'grid.lock'))).toBe(false);
    expect(readFileSync(join(whole, 'grid.json'), 'utf8')).toBe(before);
    // The number of workers changes no figure.
    const { outcome, cells } = await play(whole, {
      resume: true,
      grid: gridIn(whole, ['runtime.workers=2']),
    });
    await outcome;
    expect(states(cells)).toEqual(['finished', 'finished', 'finished', 'finished']);
  });

  it('refuses to go on with other answers, and with a finished run of other settings', async () => {
    const folder = join(root, 'changed');
    const { outcome } = await play(folder, { grid: gridWith(null) });
    await outcome;
    const record = readFileSync(join(folder, first, 'result.json'), 'utf8');
    const other = readFileSync(join(whole, 'local-steps-2/seed-1/result.json'), 'utf8');
    writeFileSync(join(folder, first, 'result.json'), other);
    await expect((await play(folder, { resume: true, grid: gridWith(null) })).outcome).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: expect.stringContaining('training.localSteps=1, seed 0'),
    });
    writeFileSync(join(folder, first, 'result.json'), record);
    const kept = readFileSync(join(survey, 'survey.json'));
    rmSync(survey, { recursive: true });
    writeSurvey(survey, tinySurvey({ groups: 6, questions: 14, seed: 1 }));
    try {
      await expect(
        (await play(folder, { resume: true, grid: gridWith(null) })).outcome,
      ).rejects.toMatchObject({
        code: 'CHECKPOINT_MISMATCH',
        message: expect.stringContaining(`the data of ${first}`),
      });
    } finally {
      rmSync(survey, { recursive: true });
      writeSurvey(survey, tinySurvey({ groups: 6, questions: 14 }));
    }
    expect(readFileSync(join(survey, 'survey.json')).equals(kept)).toBe(true);
  });

  it('prepares every cell before the first runs', async () => {
    const folder = join(root, 'unprepared');
    const axes = [{ key: 'evaluation.contextQuestions', values: [4, 14] }];
    await expect((await play(folder, { grid: gridWith(null, axes) })).outcome).rejects.toMatchObject({
      code: 'DATA_CONTEXT_TOO_LARGE',
      message: expect.stringContaining('evaluation.contextQuestions=14, seed 0'),
    });
    expect(existsSync(folder)).toBe(false);
  });

  it('refuses a definition that was tampered with, and a folder that holds none', async () => {
    const folder = join(root, 'tampered');
    mkdirSync(folder);
    const text = readFileSync(join(whole, 'grid.json'), 'utf8');
    const corrupt = (changed: string) => {
      writeFileSync(join(folder, 'grid.json'), changed);
      expect(() => gridIn(folder, [])).toThrowError(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
    };
    corrupt(text.slice(0, 100));
    corrupt(text.replace('"format": 1', '"format": 2'));
    corrupt(text.replace('"name":', '"extra": 1, "name":'));
    corrupt(JSON.stringify({ ...JSON.parse(text), settings: JSON.parse(text).settings.slice(1) }));
    rmSync(join(folder, 'grid.json'));
    await expect((await play(folder, { resume: true })).outcome).rejects.toMatchObject({
      code: 'RUN_NOT_FOUND',
    });
  });
});
