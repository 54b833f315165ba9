import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeGroupFile } from '../../src/data/group-file.ts';
import { loadSurvey } from '../../src/data/shipped.ts';
import { cli, events, SMALL, temporaryFolder } from '../support/cli.ts';
import { ort } from '../support/ort.ts';

const folder = temporaryFolder();
const run = join(folder, 'run');
let firstRun: Awaited<ReturnType<typeof cli>>;

beforeAll(async () => {
  const args = ['configs/gpo.yaml', ...SMALL, 'compare=[uniform,group-mean]', '--output-dir', run];
  firstRun = await cli(['run', ...args]);
  expect(firstRun.code).toBe(0);
});

describe('run', () => {
  it('prints the comparison table and says where the report is', () => {
    expect(firstRun.stdout).toMatch(/method +unseen mean/);
    expect(firstRun.stdout).toContain(`Report: ${join(run, 'report.html')}`);
    const report = readFileSync(join(run, 'report.html'), 'utf8');
    expect(report).toContain('<!doctype html>');
  });

  it('shows plain progress lines where standard error is no terminal', () => {
    expect(firstRun.stderr).toMatch(/federated: round 6 .*loss .*alignment: training .*unseen/);
    expect(firstRun.stderr).not.toContain('\u001b');
  });

  it('leaves the files that the README lists', () => {
    for (const name of ['config.yaml', 'metrics.jsonl', 'log.jsonl', 'result.json', 'model.onnx']) {
      expect(existsSync(join(run, name)), name).toBe(true);
    }
    const config = readFileSync(join(run, 'config.yaml'), 'utf8');
    const { configDigest } = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'));
    expect(config).toContain(configDigest);
  });

  it('says nothing but results under --quiet, and nothing but JSON under --json', async () => {
    const short = ['training.rounds=1', 'compare=[]', ...SMALL.slice(1)];
    const args = ['run', 'configs/gpo.yaml', ...short, '--output-dir'];
    const quiet = await cli([...args, join(folder, 'quiet'), '--quiet']);
    expect(quiet.stderr).toBe('');
    expect(quiet.stdout).toContain('Report: ');
    const json = await cli([...args, join(folder, 'json'), '--json']);
    expect(json.stderr).toBe('');
    const types = events(json.stdout).map(({ type }) => type);
    expect(types[0]).toBe('start');
    expect(types.slice(-2)).toEqual(['done', 'result']);
    expect(types).toContain('round');
    const result = events(json.stdout).at(-1);
    const { methods } = JSON.parse(readFileSync(String(result?.['record']), 'utf8')) as {
      methods: Record<string, unknown>[];
    };
    expect(result?.['methods']).toEqual(
      methods.map(({ id, summaries, convergence }) => ({ id, summaries, convergence })),
    );
  });

  it.skipIf(process.platform === 'win32')('finishes its work when its reader has seen enough', async () => {
    const output = join(folder, 'piped');
    const args = ['run', 'configs/gpo.yaml', ...SMALL, 'training.rounds=1', 'compare=[]', '--json'];
    const piped = await cli([...args, '--output-dir', output], {
      // The command that the helper appends runs inside the function; its exit code goes to standard error.
      before: 'once() { "$@" | head -n 1; echo "$PIPESTATUS" >&2; exit; }; once "$0" "$@"',
    });
    expect(events(piped.stdout)).toMatchObject([{ type: 'start' }]);
    expect(piped.stderr).toBe('0\n');
    expect(existsSync(join(output, 'result.json'))).toBe(true);
    expect(existsSync(join(output, 'report.html'))).toBe(true);
  });

  it('numbers run folders instead of overwriting them', async () => {
    const cwdRuns = ['run', 'configs/gpo.yaml', ...SMALL, 'compare=[]', 'training.rounds=1'];
    const name = `name=test-${process.pid}`;
    const first = await cli([...cwdRuns, name, '--json']);
    const second = await cli([...cwdRuns, name, '--json']);
    const folders = [first, second].map(({ stdout }) =>
      String(events(stdout).find(({ type }) => type === 'done')?.['folder']),
    );
    expect(folders[1]).toBe(`${folders[0]}-2`);
    for (const made of folders) rmSync(made, { recursive: true });
  });
});

describe('evaluate', () => {
  it('repeats the figures of the run', async () => {
    const { stdout, code } = await cli(['evaluate', run, '--json']);
    expect(code).toBe(0);
    const record = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'));
    expect(events(stdout).at(-1)).toMatchObject({
      type: 'result',
      modelDigest: record.modelDigest,
      summaries: record.methods[0].summaries,
    });
  });

  it('takes other settings', async () => {
    const { stdout } = await cli(['evaluate', run, 'evaluation.contextQuestions=3']);
    expect(stdout).toMatch(/split +mean +worst/);
    expect(stdout).toMatch(/democrat-white-65\+/);
  });
});

describe('predict and export', () => {
  it('a plain ONNX Runtime predicts with the exported file as `predict` does', async () => {
    const group = 'republican-white-65+';
    const model = join(folder, 'model.onnx');
    const vectors = join(folder, 'vectors.arrow');
    expect((await cli(['export', run, '--output', model, '--features', vectors])).code).toBe(0);

    const survey = loadSurvey('nonvoters');
    const answers = survey.answers[survey.groups.findIndex(({ id }) => id === group)]!.slice(0, 8);
    const csv = join(folder, 'answers.csv');
    const rows = answers.flatMap(({ question, distribution }) => {
      const { id, options } = survey.questions[question]!;
      return options.map((option, index) =>
        JSON.stringify([id, 'as asked', option, 'us', distribution[index]]).slice(1, -1),
      );
    });
    writeFileSync(csv, `question_id,question,option,group,weight\n${rows.join('\n')}\n`);
    const predicted = await cli(['predict', run, '--answers', csv, '--json']);
    expect(predicted.stderr).toBe('');
    const ours = events(predicted.stdout);
    expect(ours).toHaveLength(survey.questions.length - answers.length);
    expect(new Set(ours.map(({ type }) => type))).toEqual(new Set(['prediction']));

    // From here on nothing of ours: an Arrow file, an ONNX file, and ONNX Runtime.
    const table = tableFromIPC(readFileSync(vectors));
    const width = table.getChild('embedding')!.get(0)!.length;
    const rowsOf = (id: string) =>
      [...table].filter((row) => row['question_id'] === id).map((row) => [...row['embedding']] as number[]);
    const told = answers.map(({ question }) => survey.questions[question]!.id);
    const context = told.flatMap(rowsOf);
    const shares = answers.flatMap(({ distribution }) => [...distribution]);
    const targets = ours.map(({ question }) => rowsOf(String(question)));
    const targetQuestion = targets.flatMap((rows, index) => rows.map(() => index));
    const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
    const floats = (values: number[], dims: number[]) =>
      new ort.Tensor('float32', Float32Array.from(values), dims);
    const { probabilities } = await session.run({
      context_features: floats(context.flat(), [context.length, width]),
      context_shares: floats(shares, [shares.length]),
      target_features: floats(targets.flat(2), [targetQuestion.length, width]),
      target_question: new ort.Tensor('int32', Int32Array.from(targetQuestion), [targetQuestion.length]),
    });
    const theirs = Array.from(probabilities!.data as Float32Array);
    const expected = ours.flatMap((answer) => answer['probabilities'] as number[]);
    expect(theirs).toHaveLength(expected.length);
    for (const [index, value] of theirs.entries())
      expect(Math.abs(value - expected[index]!)).toBeLessThan(1e-6);
    await session.release();
  });

  it('takes the file that a group keeps', async () => {
    const output = join(folder, 'kept');
    writeGroupFile(`${output}.arrow`, loadSurvey('nonvoters'), 'democrat-white-65+');
    const { stdout, stderr } = await cli([
      'predict',
      run,
      '--answers',
      `${output}.arrow`,
      '--question',
      'Q20',
    ]);
    expect(stderr).toContain('told 56 answers');
    expect(stdout).toMatch(/^Q20 /m);
  });

  it('predicts for a group of the survey, question by question', async () => {
    const { stdout, code } = await cli([
      'predict',
      run,
      '--group',
      'democrat-white-65+',
      '--question',
      'Q20',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Q20 /m);
    expect(stdout.match(/%/g)).toHaveLength(2);
  });
});

describe('report', () => {
  it('writes the same report again', async () => {
    const before = readFileSync(join(run, 'report.html'));
    const { stdout, code } = await cli(['report', run]);
    expect(code).toBe(0);
    expect(stdout).toContain('Federated');
    expect(readFileSync(join(run, 'report.html')).equals(before)).toBe(true);
  });
});

describe('dataset', () => {
  it('lists, describes, imports and validates', async () => {
    expect((await cli(['dataset', 'list'])).stdout).toContain('nonvoters');
    expect((await cli(['dataset', 'describe', 'nonvoters'])).stdout).toContain(
      '57 questions, 21 groups, 1197 answers',
    );
    const csv = join(folder, 'small.csv');
    const rows = ['Red', 'Blue'].flatMap((group, g) =>
      [1, 2, 3].flatMap((q) =>
        ['yes', 'no'].map((option, o) => `q${q},Is ${q} odd?,${option},${group},${1 + g + o}`),
      ),
    );
    writeFileSync(csv, `question_id,question,option,group,weight\n${rows.join('\n')}\n`);
    expect((await cli(['dataset', 'validate', csv])).stdout).toContain(
      'valid: 3 questions, 2 groups, 6 answers',
    );
    const output = join(folder, 'small');
    const imported = await cli(['dataset', 'import', csv, '--output-dir', output, '--per-group']);
    expect(imported.code).toBe(0);
    expect((await cli(['dataset', 'describe', output])).stdout).toContain('3 questions, 2 groups, 6 answers');
    expect(existsSync(join(folder, 'small-groups', 'Red.arrow'))).toBe(true);
  });
});

/** What is typed, and what the message or its hint must say. */
const MISUSED: readonly [what: string, args: readonly string[], says: RegExp][] = [
  ['a word for a number', ['doctor', '--tolerance', 'abc'], /tolerance takes a number/],
  ['a flag given twice', ['run', 'configs/gpo.yaml', '--seed', '2', '--seed', '3'], /seed .*once/],
  ['an empty flag', ['run', 'configs/gpo.yaml', '--output-dir='], /output-dir needs a value/],
  ['a number left out', ['run', 'configs/gpo.yaml', '--seed='], /seed needs a value/],
  ['a tolerance left out', ['doctor', '--tolerance', '--vectors', 'x'], /tolerance/],
  ['an unknown action', ['dataset', 'frob'], /"frob"\s+Actions: list, import, validate, describe/],
  ['no action', ['dataset'], /list, import, validate, describe/],
];

describe('misuse', () => {
  it.each(MISUSED)('%s is told and nothing is done', async (_, args, says) => {
    const { code, stdout, stderr } = await cli(args);
    expect(stderr).toContain('error USAGE: ');
    expect(stderr).toMatch(says);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('a folder that is no run is called that', async () => {
    const { code, stderr } = await cli(['run', 'configs']);
    expect(stderr).toContain('error RUN_NOT_FOUND: configs is not a run folder');
    expect(code).toBe(6);
  });

  it.each([['--json=true'], ['--json', 'true']])('errors are JSON under %s %s', async (...json) => {
    const { stdout, stderr } = await cli(['dataset', 'frob', ...json]);
    expect(stderr).toBe('');
    expect(events(stdout)).toMatchObject([{ type: 'error', code: 'USAGE' }]);
  });
});

describe('doctor', () => {
  it('says what works, and reproduces the reference figures', async () => {
    const plain = await cli(['doctor']);
    expect(plain.code).toBe(0);
    expect(plain.stdout).toMatch(/^cpu +works/m);
    const vectors = await cli(['doctor', '--vectors', 'test/vectors/gpo-medium.json']);
    expect(vectors.stdout).toContain('102 figures');
    expect(vectors.code).toBe(0);
  });

  it('exits non-zero when one figure is off', async () => {
    const file = JSON.parse(readFileSync('test/vectors/gpo-small.json', 'utf8'));
    file.gradients['predictor.0.bias'][3] += 1e-4;
    const changed = join(folder, 'changed.json');
    writeFileSync(changed, JSON.stringify(file));
    const { code, stdout, stderr } = await cli(['doctor', '--vectors', changed]);
    expect(code).toBe(4);
    expect(stdout).toContain('off: gradients.predictor.0.bias');
    expect(stderr).toContain('VECTORS_MISMATCH');
  });
});
