import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
    peers: null,
    keepers: null,
    leastGroups: 1,
    definition: fakeDefinition(10, 3),
    ...change,
  };
}

/** A folder that has joined, with something in every file. */
function joinedHome(): GroupHome {
  const home = freshHome();
  home.create(survey, 'g1');
  home.join(membershipOf(), new Uint8Array(32).fill(9));
  home.saveModel(Buffer.from('model'));
  home.saveClearModel(Buffer.from('clear model'));
  home.saveOutbox(Buffer.from('outbox'));
  home.saveShown({ round: 1, attempt: 1, step: 1 }, Buffer.from('shown'));
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
    expect(home.loadShown({ round: 1, attempt: 1, step: 1 })).not.toBeNull();
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
    expect(home.loadShown({ round: 1, attempt: 1, step: 1 })).toBeNull();
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

  test('forgetting takes along what was half written when a process was killed', () => {
    for (const name of ['readers-key.json', 'clear-model.cbor', 'state.json', 'answers.arrow']) {
      writeFileSync(join(home.folder, `${name}.999.tmp`), 'half');
    }
    home.forget();
    const left = ['answers.arrow', 'answers.arrow.999.tmp', 'identity.json', 'model.onnx'];
    expect(readdirSync(home.folder).sort()).toEqual(left);
  });
});

describe('what a step showed', () => {
  const place = { round: 1, attempt: 1, step: 1 };
  const places = [
    place,
    { ...place, step: 11 },
    { ...place, attempt: 11 },
    { ...place, attempt: 2 },
    { ...place, round: 11 },
    { round: 11, attempt: 1, step: 2 },
  ];

  test('is kept for each place by itself, also where it is nothing', () => {
    const home = joinedHome();
    for (const [index, at] of places.entries()) home.saveShown(at, Uint8Array.of(index));
    for (const [index, at] of places.entries()) expect([...home.loadShown(at)!]).toEqual([index]);
    expect(home.loadShown({ ...place, step: 2 })).toBeNull();
    home.saveShown({ ...place, step: 2 }, new Uint8Array());
    expect(home.loadShown({ ...place, step: 2 })).toHaveLength(0);
  });

  test('is forgotten of all attempts but one, and nothing else is', () => {
    const home = joinedHome();
    for (const at of places) home.saveShown(at, Uint8Array.of(1));
    home.forgetShown({ round: 1, attempt: 1 });
    const kept = places.filter((at) => home.loadShown(at) !== null);
    expect(kept).toEqual(places.filter(({ round, attempt }) => round === 1 && attempt === 1));
    expect(home.loadModel()).not.toBeNull();
    expect(home.loadOutbox()).not.toBeNull();
    home.forgetShown({ round: 2, attempt: 1 });
    expect(places.filter((at) => home.loadShown(at) !== null)).toEqual([]);
  });
});

describe('the last round whose sum was opened', () => {
  const [run, other] = ['ab'.repeat(32), 'cd'.repeat(32)];

  test('is kept for each run by itself', () => {
    const home = joinedHome();
    expect(home.loadOpened(run)).toBe(0);
    home.saveOpened(run, 3);
    home.saveOpened(other, 1);
    home.saveOpened(run, 4);
    expect([home.loadOpened(run), home.loadOpened(other), home.loadOpened('ef'.repeat(32))]).toEqual([
      4, 1, 0,
    ]);
    expect(new GroupHome(home.folder).loadOpened(run)).toBe(4);
  });

  test('outlives a deleted state, and joining another run and this one again', () => {
    const home = joinedHome();
    home.saveOpened(run, 3);
    rmSync(join(home.folder, 'state.json'));
    home.join(membershipOf());
    expect(home.loadOpened(run)).toBe(3);
    home.join(membershipOf({ run: 'another' }));
    home.join(membershipOf());
    expect(home.loadOpened(run)).toBe(3);
  });

  test('is not taken for nothing where its file is damaged', () => {
    const home = joinedHome();
    home.saveOpened(run, 3);
    for (const content of ['', '{', '[]', `{"${run}":0}`, `{"${run}":-1}`, `{"${run}":"3"}`, '{"run":1}']) {
      writeFileSync(join(home.folder, 'opened.json'), content);
      expect(() => home.loadOpened(run), content).toThrow(
        expect.objectContaining({ code: 'CHECKPOINT_CORRUPT', hint: expect.stringContaining('backup') }),
      );
      expect(() => home.saveOpened(run, 4), content).toThrow(
        expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }),
      );
    }
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
