import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Membership, newRecord } from '../../src/client/group-record.ts';
import { GroupHome } from '../../src/client/home.ts';
import { newGroup } from '../../src/round/group.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { temporaryFolder } from '../support/cli.ts';
import { tinySurvey } from '../support/tiny-survey.ts';
import { fakeDefinition, RUN } from './fake-aggregator.ts';

const root = temporaryFolder();
const survey = tinySurvey({ groups: 3 });
let count = 0;

function freshHome(): GroupHome {
  return new GroupHome(join(root, `group-${count++}`));
}

function membershipOf(change: Partial<Membership> = {}): Membership {
  return {
    format: 1,
    url: 'http://127.0.0.1:1',
    run: RUN,
    aggregatorKey: identityOf('22'.repeat(32)).publicKey,
    group: 'g1',
    ca: null,
    featuresPath: null,
    definition: fakeDefinition(10, 3),
    ...change,
  };
}

/** A folder that has joined, with something in every file. */
function joinedHome(): GroupHome {
  const home = freshHome();
  home.create(survey, 'g1');
  home.join(membershipOf());
  home.saveModel(Buffer.from('model'));
  home.saveOutbox(Buffer.from('outbox'));
  home.saveExport(Buffer.from('export'));
  return home;
}

const permissions = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('a new folder', () => {
  test('holds a key and the answers of this one group', () => {
    const home = freshHome();
    const { publicKey } = home.create(survey, 'g1');
    expect(home.identity().publicKey).toBe(publicKey);
    const { groups, answers } = home.answers();
    expect(groups.map(({ id }) => id)).toEqual(['g1']);
    expect(answers[0]!.map(({ distribution }) => distribution)).toEqual(
      survey.answers[1]!.map(({ distribution }) => distribution),
    );
  });

  test('never loses a key to a second init', () => {
    const home = freshHome();
    const { publicKey } = home.create(survey, 'g1');
    expect(() => home.create(survey, 'g2')).toThrow(expect.objectContaining({ code: 'RUN_EXISTS' }));
    expect(home.identity().publicKey).toBe(publicKey);
    expect(home.answers().groups[0]!.id).toBe('g1');
  });

  test('no two keys are the same', () => {
    const keys = [1, 2, 3].map(() => freshHome().create(survey, 'g0').publicKey);
    expect(new Set(keys).size).toBe(3);
  });
});

describe('only its owner can read a folder', () => {
  const before = process.umask();
  afterEach(() => process.umask(before));

  test.each([0o000, 0o022, 0o277])('with umask %o', (umask) => {
    process.umask(umask);
    const home = joinedHome();
    home.saveRecord(newRecord(newGroup('g1')));
    expect(permissions(home.folder)).toBe('700');
    for (const name of readdirSync(home.folder)) {
      expect(permissions(join(home.folder, name)), name).toBe('600');
    }
  });

  test('also where it was there before with other permissions', () => {
    const folder = join(root, 'open');
    mkdirSync(folder, { mode: 0o755 });
    new GroupHome(folder).create(survey, 'g0');
    expect(permissions(folder)).toBe('700');
  });
});

describe('what is not ready says what to do first', () => {
  test.each<[string, (home: GroupHome) => unknown]>([
    ['the identity', (home) => home.identity()],
    ['the answers', (home) => home.answers()],
    ['the membership', (home) => home.membership()],
    ['the lock', (home) => home.lock()],
  ])('before init: %s', (_, read) => {
    const home = freshHome();
    const error = { code: 'FOLDER_NOT_READY', hint: expect.stringContaining('group init') };
    expect(() => read(home)).toThrow(expect.objectContaining(error));
  });

  test('before join', () => {
    const home = freshHome();
    home.create(survey, 'g1');
    const error = { code: 'FOLDER_NOT_READY', hint: expect.stringContaining('group join') };
    expect(() => home.membership()).toThrow(expect.objectContaining(error));
    expect(() => home.loadRecord()).toThrow(expect.objectContaining(error));
  });
});

describe('damaged files', () => {
  const damages: [string, (text: string) => string][] = [
    ['cut off', (text) => text.slice(0, text.length / 2)],
    ['empty', () => ''],
    ['of another format', (text) => text.replace('"format": 1', '"format": 2')],
    ['with a key that is not known', (text) => text.replace('{', '{"more": true,')],
  ];
  const files: [string, (home: GroupHome) => unknown][] = [
    ['identity.json', (home) => home.identity()],
    ['membership.json', (home) => home.membership()],
    ['state.json', (home) => home.loadRecord()],
  ];
  test.each(files.flatMap(([file, read]) => damages.map(([how, damage]) => ({ file, how, read, damage }))))(
    '$file $how',
    ({ file, read, damage }) => {
      const home = joinedHome();
      const path = join(home.folder, file);
      writeFileSync(path, damage(readFileSync(path, 'utf8')));
      const error = { code: 'CHECKPOINT_CORRUPT', message: expect.stringContaining(file) };
      expect(() => read(home)).toThrow(expect.objectContaining(error));
    },
  );

  test('a changed answer is noticed', () => {
    const home = joinedHome();
    const path = join(home.folder, 'answers.arrow');
    const bytes = readFileSync(path);
    bytes[bytes.length / 2] = bytes[bytes.length / 2]! ^ 1;
    writeFileSync(path, bytes);
    expect(() => home.answers()).toThrow(expect.objectContaining({ code: 'DATA_TRUNCATED' }));
  });
});

describe('joining', () => {
  let home: GroupHome;
  beforeEach(() => {
    home = joinedHome();
    const record = home.loadRecord();
    home.saveRecord({ ...record, scored: 2 });
  });

  test('the same run again keeps what is remembered', () => {
    home.join(membershipOf({ url: 'http://127.0.0.1:2' }));
    expect(home.loadRecord().scored).toBe(2);
    expect(home.membership().url).toBe('http://127.0.0.1:2');
    expect(home.loadOutbox()).not.toBeNull();
  });

  test.each<[string, Partial<Membership>]>([
    ['another run', { run: 'other' }],
    ['under another name', { group: 'g2' }],
    ['of another aggregator', { aggregatorKey: 'a'.repeat(64) }],
    ['made anew', { definition: { ...fakeDefinition(10, 3), nonce: '1'.repeat(32) } }],
  ])('%s forgets it', (_, change) => {
    home.join(membershipOf(change));
    expect(home.loadRecord()).toEqual(newRecord(newGroup(change.group ?? 'g1')));
    expect(home.loadModel()).toBeNull();
    expect(home.loadOutbox()).toBeNull();
  });

  test('after a damaged state was deleted makes a new one', () => {
    home.forget();
    home.join(membershipOf());
    expect(home.loadRecord()).toEqual(newRecord(newGroup('g1')));
  });

  test('forgetting leaves key, answers and the exported model', () => {
    home.forget();
    expect(readdirSync(home.folder).sort()).toEqual(['answers.arrow', 'identity.json', 'model.onnx']);
  });
});

describe('the lock', () => {
  test('keeps a process out while another has the folder, and is given back', () => {
    const home = joinedHome();
    // The parent of this process is alive.
    const path = join(home.folder, 'lock');
    const holder = JSON.stringify({ pid: process.ppid, began: null });
    writeFileSync(path, holder);
    expect(() => home.lock()).toThrow(expect.objectContaining({ code: 'FOLDER_IN_USE' }));
    expect(readFileSync(path, 'utf8')).toBe(holder);
  });

  test('of a process that was killed is taken over', () => {
    const home = joinedHome();
    const path = join(home.folder, 'lock');
    // Larger than any process number that the system gives.
    writeFileSync(path, JSON.stringify({ pid: 2 ** 30, began: null }));
    const release = home.lock();
    expect(readFileSync(path, 'utf8')).toContain(String(process.pid));
    release();
    expect(readdirSync(home.folder)).not.toContain('lock');
    home.lock()();
  });
});
