import { cpSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cli, events, SMALL, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const HEADER = 'question_id,question,option,group,weight';
const trained = join(folder, 'trained');

function csv(name: string, ...rows: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, `${[HEADER, ...rows].join('\n')}\n`);
  return path;
}

/** Reference figures whose question lengths do not add up to the number of points. */
function vectors(): string {
  const file = JSON.parse(readFileSync('test/vectors/gpo-small.json', 'utf8'));
  file.context.question_lengths[0]++;
  const path = join(folder, 'vectors.json');
  writeFileSync(path, JSON.stringify(file));
  return path;
}

const GOOD = ['q1,One?,yes,A,1', 'q1,One?,no,A,2', 'q2,Two?,yes,A,1', 'q2,Two?,no,A,1'];

beforeAll(async () => {
  const args = [...SMALL, 'training.rounds=2', 'compare=[]', '--output-dir', trained, '--quiet'];
  expect((await cli(['run', 'configs/gpo.yaml', ...args])).code).toBe(0);
  writeFileSync(
    join(folder, 'cut.arrow'),
    readFileSync('datasets/nonvoters/survey/responses.arrow').subarray(0, 3000),
  );
  writeFileSync(join(folder, 'cut.csv'), `${HEADER}\nq1,"One?`);
});

const quickstart =
  (...rest: string[]) =>
  () => ['run', 'configs/gpo.yaml', ...rest];
const validate = (make: () => string) => () => ['dataset', 'validate', make()];

/** What a user types, which code and exit code comes back, and what the message must name. */
const CASES: readonly [what: string, args: () => string[], code: string, exit: number, says: RegExp][] = [
  ['an unknown command', () => ['rum'], 'USAGE', 2, /run/],
  ['an unknown flag', quickstart('--sed', '3'), 'USAGE', 2, /sed/],
  ['an unknown config key', quickstart('training.localStep=3'), 'CONFIG_UNKNOWN_KEY', 2, /"localSteps"/],
  ['an unknown plug-in option', quickstart('predictor.widht=3'), 'CONFIG_UNKNOWN_KEY', 2, /"width"/],
  ['a wrong type', quickstart('training.rounds=many'), 'CONFIG_INVALID', 2, /training\.rounds.*number/],
  ['heads that do not divide the width', quickstart('predictor.heads=5'), 'CONFIG_INVALID', 2, /64.*5/],
  ['a missing config', () => ['run', join(folder, 'no.yaml')], 'FILE_NOT_FOUND', 7, /no\.yaml/],
  ['an unknown survey', quickstart('data.survey=nonvotes'), 'DATA_UNKNOWN_SURVEY', 3, /"nonvoters"/],
  [
    'an unknown group',
    quickstart('data.groups.unseen=[democrat-white-65]'),
    'DATA_UNKNOWN_GROUP',
    3,
    /democrat-white-65\+/,
  ],
  ['more groups than there are', quickstart('data.groups.training=30'), 'CONFIG_CONFLICT', 2, /21/],
  [
    'too many context questions',
    quickstart('evaluation.contextQuestions=57'),
    'DATA_CONTEXT_TOO_LARGE',
    3,
    /57/,
  ],
  ['an unknown device', quickstart('--device', 'tpu'), 'DEVICE_UNAVAILABLE', 5, /cpu/],
  ['truncated CSV', validate(() => join(folder, 'cut.csv')), 'DATA_TRUNCATED', 3, /cut\.csv/],
  ['truncated Arrow', validate(() => join(folder, 'cut.arrow')), 'DATA_TRUNCATED', 3, /cut\.arrow/],
  [
    'a negative weight',
    validate(() => csv('negative.csv', ...GOOD, 'q3,Three?,yes,A,-1', 'q3,Three?,no,A,2')),
    'DATA_BAD_WEIGHT',
    3,
    /row 6.*weight/,
  ],
  [
    'a weight that is no number',
    validate(() => csv('nan.csv', ...GOOD, 'q3,Three?,yes,A,NaN', 'q3,Three?,no,A,2')),
    'DATA_BAD_WEIGHT',
    3,
    /row 6/,
  ],
  [
    'a question with one option',
    validate(() => csv('options.csv', ...GOOD, 'q3,Three?,yes,A,1')),
    'DATA_OPTION_COUNT',
    3,
    /q3/,
  ],
  [
    'an empty group',
    validate(() => csv('empty.csv', ...GOOD, 'q1,One?,yes,B,0', 'q1,One?,no,B,0')),
    'DATA_EMPTY_GROUP',
    3,
    /usable answer: B/,
  ],
  [
    'a group without features',
    quickstart('features.name=arrow', `features.path=${folder}/none.arrow`),
    'FILE_NOT_FOUND',
    7,
    /none\.arrow/,
  ],
  [
    'features of another width',
    () => ['evaluate', trained, 'features.optionComponents=8'],
    'FEATURES_WIDTH',
    4,
    /width/,
  ],
  ['another predictor', () => ['evaluate', trained, 'predictor.heads=1'], 'MODEL_MISMATCH', 4, /predictor/],
  [
    'a split that calls trained groups unseen',
    () => ['evaluate', trained, 'seed=1'],
    'MODEL_MISMATCH',
    4,
    /unseen.*trained/,
  ],
  [
    'a key that the schedule ignores',
    quickstart('training.warmupSteps=5'),
    'CONFIG_CONFLICT',
    2,
    /warmupSteps/,
  ],
  ['a comparison named twice', quickstart('compare=[uniform, uniform]'), 'CONFIG_INVALID', 2, /twice/],
  [
    'vectors that contradict themselves',
    () => ['doctor', '--vectors', vectors()],
    'DATA_FORMAT',
    3,
    /question_lengths/,
  ],
  ['a folder that is no run', () => ['evaluate', folder], 'RUN_NOT_FOUND', 6, /config\.yaml/],
  ['a run folder that is taken', quickstart('--output-dir', trained), 'RUN_EXISTS', 6, /--resume/],
  [
    'a checkpoint of another config',
    () => ['run', trained, '--resume', '--seed', '9'],
    'CHECKPOINT_MISMATCH',
    6,
    /digest/,
  ],
];

describe('bad input', () => {
  for (const [what, args, code, exit, says] of CASES) {
    it(`${what}: ${code}`, async () => {
      const before = readdirSync(folder).sort();
      const given = args();
      const made = readdirSync(folder).filter((name) => !before.includes(name));
      const target = given[0] === 'run' && !given.includes('--output-dir') && !given.includes('--resume');
      const full = target ? [...given, '--output-dir', join(folder, 'never')] : given;
      const result = await cli(full);
      expect(result.stderr).toContain(`error ${code}: `);
      expect(result.stderr).toMatch(says);
      expect(result.code).toBe(exit);
      expect(result.stdout).toBe('');
      expect(
        readdirSync(folder)
          .filter((name) => !made.includes(name))
          .sort(),
      ).toEqual(before);
    });
  }

  it('is told as JSON under --json', async () => {
    const { stdout, stderr } = await cli(['run', 'configs/gpo.yaml', 'sed=3', '--json']);
    expect(stderr).toBe('');
    expect(events(stdout)).toMatchObject([
      { type: 'error', code: 'CONFIG_UNKNOWN_KEY', hint: 'Did you mean "seed"?' },
    ]);
  });

  it('a damaged checkpoint is refused, and nothing is changed', async () => {
    const damaged = join(folder, 'damaged');
    cpSync(trained, damaged, { recursive: true });
    const path = join(damaged, 'checkpoints', 'federated.ckpt');
    truncateSync(path, 1000);
    const result = await cli(['run', damaged, '--resume']);
    expect(result.stderr).toContain('error CHECKPOINT_CORRUPT: ');
    expect(result.code).toBe(6);
    expect(readFileSync(path)).toHaveLength(1000);
  });

  it.skipIf(process.platform === 'win32')('a full disk keeps the last checkpoint whole', async () => {
    const full = join(folder, 'full');
    const wide = [
      'predictor.width=64',
      'predictor.feedforward=64',
      'predictor.layers=2',
      'training.rounds=2',
      'compare=[]',
    ];
    const args = ['run', 'configs/gpo.yaml', ...SMALL, ...wide, '--output-dir', full];
    // A file size limit fails a write in the middle, like a disk that fills up; 64 blocks of 1024 bytes.
    const result = await cli(args, {
      before: 'trap "" XFSZ; ulimit -f 64',
      env: { PLURALLLM_CACHE: join(folder, 'cache') },
    });
    expect(result.stderr).toContain('error DISK_FULL: ');
    expect(result.stderr).toContain('federated.ckpt');
    expect(result.code).toBe(7);
    expect(readdirSync(join(full, 'checkpoints'))).toEqual([]);
    const resumed = await cli(['run', full, '--resume', '--quiet']);
    expect(resumed.code).toBe(0);
    expect(existsSync(join(full, 'report.html'))).toBe(true);
  });
});
