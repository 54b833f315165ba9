import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { encodeInvitation, type Invitation } from '../../src/wire/invitation.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { cli, events, ROOT, SMALL, temporaryFolder } from '../support/cli.ts';
import { openTestAggregator, type TestAggregator } from '../support/test-aggregator.ts';

const folder = temporaryFolder();
const GROUP = 'democrat-white-65+';
let server: TestAggregator;
let url: string;
let plan: RunPlan;
let folders = 0;

beforeAll(async () => {
  server = await openTestAggregator();
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  const overrides = [...SMALL, 'training.rounds=2', 'compare=[]', 'round.quorum=1'];
  const config = loadConfig(join(ROOT, 'configs/gpo.yaml'), overrides);
  plan = planOf(await prepareExperiment(config, () => undefined));
});
afterAll(() => server.close());

function freshFolder(): string {
  return join(folder, `group-${folders++}`);
}

/** A run of two rounds, with an invitation. */
async function invited(quorum = 1, change: Partial<Invitation> = {}, of = plan) {
  const { aggregator } = server;
  const { run } = await createRun(aggregator, { name: 'commands', plan: { ...of, quorum } });
  const { tokens } = await invite(aggregator, run, { group: null, count: 1, expiresInMs: 60_000 });
  const { publicKey: aggregatorKey } = aggregator.identity;
  const invitation: Invitation = { url, run, aggregatorKey, token: tokens[0]!, group: null, ...change };
  return { run, word: encodeInvitation(invitation) };
}

function initialise(home: string) {
  return cli(['group', 'init', home, '--answers', 'nonvoters', '--group', GROUP]);
}

async function joined(quorum = 1): Promise<{ home: string; run: string }> {
  const home = freshFolder();
  const { run, word } = await invited(quorum);
  await initialise(home);
  expect((await cli(['group', 'join', home, word])).code).toBe(0);
  return { home, run };
}

const errorOf = ({ stderr }: { stderr: string }) => /^error (\w+):/m.exec(stderr)?.[1];

describe('from nothing to the end of a run', () => {
  test('init, join, round, round: each says what to do next, and the last has the model', async () => {
    const home = freshFolder();
    const { run, word } = await invited();
    const made = await initialise(home);
    expect(made.code).toBe(0);
    expect(made.stdout).toMatch(/^Public key: [0-9a-f]{64}$/m);
    expect(made.stdout).toContain(`Next: pluralllm group join ${home} <invitation>`);
    const entered = await cli(['group', 'join', home, word]);
    expect(entered.stdout).toContain(`Group "${GROUP}" takes part in run "${run}".`);
    expect(entered.stdout).toContain(`pluralllm group round ${home}`);
    const first = await cli(['group', 'round', home]);
    expect(first.stdout).toMatch(/^Round 1 is done; training loss \d+\.\d{4}\.$/m);
    expect(first.stdout).toMatch(/^Model [0-9a-f]{12} of round 1: alignment 0\.\d{4} on \d+ of/m);
    const last = await cli(['group', 'round', home, '--json']);
    const outcome = events(last.stdout).at(-1);
    const { history, scores, phase } = await statusOf(server.aggregator, run);
    expect(outcome).toMatchObject({
      type: 'outcome',
      round: 2,
      ended: 'finished',
      model: history.at(-1)!.model,
    });
    expect(phase).toBe('finished');
    expect(scores.map(({ round, groups }) => ({ round, groups }))).toEqual([
      { round: 0, groups: 1 },
      { round: 1, groups: 1 },
      { round: 2, groups: 1 },
    ]);
    expect(existsSync(join(home, 'model.onnx'))).toBe(true);
  });

  test('watch does all rounds; --no-scores tells nothing; --json is JSON alone, --quiet the result alone', async () => {
    const { home, run } = await joined();
    const watched = await cli(['group', 'watch', home, '--no-scores', '--json']);
    expect(watched.code).toBe(0);
    expect(watched.stderr).toBe('');
    const seen = events(watched.stdout);
    const rounds = seen.filter(({ type }) => type === 'sent').map(({ round }) => round);
    expect(rounds).toEqual([1, 2]);
    expect(seen.filter(({ type }) => type === 'score').every(({ told }) => told === false)).toBe(true);
    expect((await statusOf(server.aggregator, run)).scores).toEqual([]);
    const again = await cli(['group', 'watch', home, '--quiet']);
    expect(again.stderr).toBe('');
    expect(again.stdout).toContain('The run is finished.');
  });

  test('leave takes the group off the list, and the folder can join again', async () => {
    const { home, run } = await joined(2);
    const left = await cli(['group', 'leave', home]);
    expect(left.stdout).toContain(`Group "${GROUP}" has left run "${run}".`);
    expect((await statusOf(server.aggregator, run)).members).toEqual([]);
    const round = await cli(['group', 'round', home]);
    expect(errorOf(round)).toBe('FOLDER_NOT_READY');
    const { word } = await invited();
    expect((await cli(['group', 'join', home, word])).code).toBe(0);
  });
});

describe('stopped in between', () => {
  test('Ctrl-C ends with 130 and leaves a folder that goes on; meanwhile nobody else may work in it', async () => {
    const { home } = await joined(2);
    let second: ReturnType<typeof cli> | undefined;
    const watched = await cli(['group', 'watch', home, '--json'], {
      watch: (stdout, kill) => {
        if (second !== undefined || !stdout.includes('"type":"score"')) return;
        second = cli(['group', 'round', home]);
        second.then(() => kill('SIGINT'));
      },
    });
    expect(errorOf(await second!)).toBe('FOLDER_IN_USE');
    expect(watched.code).toBe(130);
    expect(events(watched.stdout).at(-1)).toMatchObject({ type: 'error', code: 'INTERRUPTED' });
    const left = await cli(['group', 'leave', home]);
    expect(left.code).toBe(0);
  });

  test('kill -9 leaves a folder that goes on', async () => {
    const { home } = await joined();
    const killed = await cli(['group', 'watch', home, '--json'], {
      watch: (stdout, kill) => {
        if (stdout.includes('"type":"training"')) kill('SIGKILL');
      },
    });
    expect(killed.signal).toBe('SIGKILL');
    expect(existsSync(join(home, 'lock'))).toBe(true);
    const watched = await cli(['group', 'watch', home, '--json']);
    expect(events(watched.stdout).at(-1)).toMatchObject({ type: 'outcome', round: 2, ended: 'finished' });
  });
});

describe('a run whose aggregator holds ciphertext', () => {
  let file: string;
  let word: string;
  let run: string;
  let secret: string;
  let heldPlan: RunPlan;
  const home = join(folder, 'reader');

  beforeAll(async () => {
    file = join(folder, 'readers.key');
    const made = await cli(['group', 'readers-key', '--out', file, '--json']);
    const [{ fingerprint }] = events(made.stdout) as [{ fingerprint: string }];
    secret = readFileSync(file, 'utf8').trim();
    expect(made.stdout + made.stderr).not.toContain(secret);
    const held = ['protection=seal', 'aggregator.holds=ciphertext', `aggregator.readers=${fingerprint}`];
    const overrides = [...SMALL, 'training.rounds=1', 'compare=[]', ...held];
    const config = loadConfig(join(ROOT, 'configs/gpo.yaml'), overrides);
    heldPlan = planOf(await prepareExperiment(config, () => undefined));
    ({ word, run } = await invited(3, {}, heldPlan));
    await initialise(home);
  });

  const members = async () => (await statusOf(server.aggregator, run)).members;

  test('the key is for its owner alone, says what to do with it, and is not written over', async () => {
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
    const again = await cli(['group', 'readers-key', '--out', file]);
    expect(errorOf(again)).toBe('RUN_EXISTS');
    const other = await cli(['group', 'readers-key', '--out', join(folder, 'printed.key')]);
    expect(other.stdout).toMatch(/^Fingerprint: [0-9a-f]{64}$/m);
    expect(other.stdout).toContain('aggregator.readers=');
    expect(other.stdout).not.toContain(readFileSync(join(folder, 'printed.key'), 'utf8').trim());
  });

  test('without the key, with another, with one that others can read or with none nobody joins', async () => {
    const foreign = join(folder, 'foreign.key');
    const open = join(folder, 'open.key');
    const none = join(folder, 'none.key');
    await cli(['group', 'readers-key', '--out', foreign]);
    writeFileSync(open, `${secret}\n`, { mode: 0o644 });
    writeFileSync(none, 'please\n', { mode: 0o600 });
    const join_ = (...flags: string[]) => cli(['group', 'join', home, word, ...flags]);
    const refusals = [
      [await join_(), 'CONFIG_CONFLICT', '--readers-key FILE'],
      [await join_('--readers-key', foreign), 'CONFIG_CONFLICT', "the readers' key is not that of this run"],
      [await join_('--readers-key', open), 'FILE_UNREADABLE', 'chmod 600'],
      [await join_('--readers-key', none), 'DATA_FORMAT', "is no readers' key"],
      [await join_('--readers-key', join(folder, 'nowhere.key')), 'FILE_NOT_FOUND', 'nowhere.key'],
    ] as const;
    for (const [refused, code, words] of refusals) {
      expect(errorOf(refused)).toBe(code);
      expect(refused.stderr).toContain(words);
      expect(refused.stdout + refused.stderr).not.toContain(secret);
    }
    expect(await members()).toEqual([]);
    expect(existsSync(join(home, 'readers-key.json'))).toBe(false);
  });

  test('who has the key joins no run in which the aggregator has the models, nor one after the other', async () => {
    const own = freshFolder();
    await initialise(own);
    const { word: clear, run: clearRun } = await invited(3);
    const refused = await cli(['group', 'join', own, clear, '--readers-key', file]);
    expect(errorOf(refused)).toBe('CONFIG_CONFLICT');
    expect(refused.stderr).toContain('the aggregator of this run has the sums and the models in clear');
    expect(refused.stdout + refused.stderr).not.toContain(secret);
    for (const name of ['readers-key.json', 'membership.json'])
      expect(existsSync(join(own, name))).toBe(false);
    const listed = async () => (await statusOf(server.aggregator, clearRun)).members;
    expect(await listed()).toEqual([]);
    // The key that it has from the run before says the same.
    const { word: heldWord } = await invited(3, {}, heldPlan);
    expect((await cli(['group', 'join', own, heldWord, '--readers-key', file])).code).toBe(0);
    expect(errorOf(await cli(['group', 'join', own, clear]))).toBe('CONFIG_CONFLICT');
    expect(await listed()).toEqual([]);
    await cli(['group', 'leave', own]);
    expect((await cli(['group', 'join', own, clear])).code).toBe(0);
  });

  test('a folder whose run turned out to have models in clear takes no part in it', async () => {
    const own = freshFolder();
    await initialise(own);
    const { word: clear } = await invited();
    expect((await cli(['group', 'join', own, clear])).code).toBe(0);
    writeFileSync(join(own, 'readers-key.json'), JSON.stringify({ format: 1, secret }), { mode: 0o600 });
    expect(errorOf(await cli(['group', 'watch', own]))).toBe('CONFIG_CONFLICT');
  });

  test('with it a group joins, keeps it for itself, and joins again without saying it', async () => {
    const joined_ = await cli(['group', 'join', home, word, '--readers-key', file]);
    expect(joined_.code).toBe(0);
    expect(joined_.stdout).toContain('The aggregator sees no update, no sum and no model');
    expect(joined_.stdout + joined_.stderr).not.toContain(secret);
    expect((statSync(join(home, 'readers-key.json')).mode & 0o777).toString(8)).toBe('600');
    expect(await members()).toMatchObject([{ group: GROUP }]);
    expect((await cli(['group', 'join', home, word])).code).toBe(0);
    await cli(['group', 'leave', home]);
    expect(existsSync(join(home, 'readers-key.json'))).toBe(false);
  });
});

describe('misuse has its own code', () => {
  const several = join(folder, 'several.csv');
  beforeAll(() => {
    const rows = ['a', 'b'].flatMap((group) => [`q1,one?,yes,${group},1`, `q1,one?,no,${group},2`]);
    writeFileSync(several, `question_id,question,option,group,weight\n${rows.join('\n')}\n`);
  });

  test.each<[string, () => string[], string]>([
    ['no such file', () => ['init', freshFolder(), '--answers', 'nowhere.csv'], 'FILE_NOT_FOUND'],
    ['several groups in the file', () => ['init', freshFolder(), '--answers', several], 'USAGE'],
    [
      'a group that the file does not have',
      () => ['init', freshFolder(), '--answers', several, '--group', 'c'],
      'DATA_UNKNOWN_GROUP',
    ],
    ['a round before init', () => ['round', freshFolder()], 'FOLDER_NOT_READY'],
    ['no invitation', () => ['join', freshFolder(), 'please'], 'INVITATION_INVALID'],
    ['no action', () => ['vote'], 'USAGE'],
  ])('%s', async (_, args, code) => {
    expect(errorOf(await cli(['group', ...args()]))).toBe(code);
  });

  test('init a second time keeps the key', async () => {
    const home = freshFolder();
    await initialise(home);
    const before = readFileSync(join(home, 'identity.json'), 'utf8');
    expect(errorOf(await initialise(home))).toBe('RUN_EXISTS');
    expect(readFileSync(join(home, 'identity.json'), 'utf8')).toBe(before);
  });

  test('plain http to another machine is refused before anything is sent', async () => {
    const home = freshFolder();
    await initialise(home);
    const { word } = await invited(1, { url: 'http://aggregator.invalid' });
    const refused = await cli(['group', 'join', home, word]);
    expect(errorOf(refused)).toBe('CONFIG_CONFLICT');
    expect(refused.stderr).toContain('--insecure-http');
  });
});
