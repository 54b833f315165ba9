import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { encodeInvitation } from '../../src/wire/invitation.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { cli, ROOT, SMALL, temporaryFolder } from '../support/cli.ts';
import { openTestAggregator, type TestAggregator } from '../support/test-aggregator.ts';

const folder = temporaryFolder();
const GROUP = 'democrat-white-65+';
const MEMBERS = '{members: [ink, press], threshold: 2, trustees: true}';
let server: TestAggregator;
let url: string;
let plan: RunPlan;
let folders = 0;

beforeAll(async () => {
  server = await openTestAggregator();
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  const changes = ['compare=[]', 'protection.name=seal', `protection.committee=${MEMBERS}`];
  const config = loadConfig(join(ROOT, 'configs/gpo.yaml'), [...SMALL, ...changes]);
  plan = planOf(await prepareExperiment(config, () => undefined));
});
afterAll(() => server.close());

const freshFolder = () => join(folder, `office-${folders++}`);
const errorOf = ({ stderr }: { stderr: string }) => /^error (\w+):/m.exec(stderr)?.[1];

async function invited(of = plan): Promise<{ run: string; word: string }> {
  const { aggregator } = server;
  const { run } = await createRun(aggregator, { name: 'committee', plan: of });
  const { tokens } = await invite(aggregator, run, { group: null, count: 1, expiresInMs: 60_000 });
  const { publicKey: aggregatorKey } = aggregator.identity;
  return { run, word: encodeInvitation({ url, run, aggregatorKey, token: tokens[0]!, group: null }) };
}

describe('a member without answers', () => {
  test('gets a key, joins under the name that the configuration has, and says where it is', async () => {
    const home = freshFolder();
    const { run, word } = await invited();
    const made = await cli(['committee', 'init', home]);
    expect(made.stdout).toContain(`Next: pluralllm committee join ${home} <invitation>`);
    expect((await cli(['committee', 'status', home])).stdout).toContain('in no run');
    const entered = await cli(['committee', 'join', home, word, '--name', 'press']);
    expect(entered.stdout).toContain(`"press" keeps shares of the keys of run "${run}"`);
    const { stdout } = await cli(['committee', 'status', home]);
    expect(stdout).toContain(`"press" in run "${run}" of ${url}, protection "seal"`);
    expect(stdout).toContain('Members without answers: ink, press');
    expect((await statusOf(server.aggregator, run)).members).toMatchObject([{ group: 'press' }]);
  });

  test('that does it twice, too early, without a name or under another is told so, and is on no list', async () => {
    const home = freshFolder();
    const { run, word } = await invited();
    expect(errorOf(await cli(['committee', 'serve', home]))).toBe('FOLDER_NOT_READY');
    await cli(['committee', 'init', home]);
    expect(errorOf(await cli(['committee', 'init', home]))).toBe('RUN_EXISTS');
    const early = await cli(['committee', 'serve', home]);
    expect(early.stderr).toContain(`First: pluralllm committee join ${home} <invitation>`);
    expect(errorOf(await cli(['committee', 'join', home, word]))).toBe('USAGE');
    const foreign = await cli(['committee', 'join', home, word, '--name', 'radio']);
    expect(errorOf(foreign)).toBe('CONFIG_CONFLICT');
    expect(foreign.stderr).toContain('names no trustee "radio"');
    expect((await statusOf(server.aggregator, run)).members).toEqual([]);
  });
});

test("a member whose answers are for readers alone needs the readers' key", async () => {
  const key = join(folder, 'readers.key');
  const made = await cli(['group', 'readers-key', '--out', key]);
  const readers = /^Fingerprint: ([0-9a-f]{64})$/m.exec(made.stdout)?.[1];
  const config = { ...plan.config, aggregator: { holds: 'ciphertext', readers } };
  const home = freshFolder();
  const { run, word } = await invited({ ...plan, config });
  await cli(['committee', 'init', home]);
  const without = await cli(['committee', 'join', home, word, '--name', 'ink']);
  expect(errorOf(without)).toBe('CONFIG_CONFLICT');
  expect(without.stderr).toContain('--readers-key FILE');
  expect((await statusOf(server.aggregator, run)).members).toEqual([]);
  const named = ['--name', 'ink', '--readers-key', key];
  expect((await cli(['committee', 'join', home, word, ...named])).code).toBe(0);
  expect((await statusOf(server.aggregator, run)).members).toMatchObject([{ group: 'ink' }]);
});

test("a member that has the readers' key joins no run whose sums are opened by the aggregator", async () => {
  const key = join(folder, 'unused.key');
  await cli(['group', 'readers-key', '--out', key]);
  const home = freshFolder();
  const { run, word } = await invited();
  await cli(['committee', 'init', home]);
  const named = ['--name', 'ink', '--readers-key', key];
  const refused = await cli(['committee', 'join', home, word, ...named]);
  expect(errorOf(refused)).toBe('CONFIG_CONFLICT');
  expect(refused.stderr).toContain('in clear');
  expect((await statusOf(server.aggregator, run)).members).toEqual([]);
});

describe('a group in a run whose sums are opened by others', () => {
  test('joins when it says that it accepts them, and under no name of theirs', async () => {
    const home = freshFolder();
    const { run, word } = await invited();
    await cli(['group', 'init', home, '--answers', 'nonvoters', '--group', GROUP]);
    const unasked = await cli(['group', 'join', home, word]);
    expect(errorOf(unasked)).toBe('CONFIG_CONFLICT');
    expect(unasked.stderr).toContain(
      '2 of "ink", "press", together with the aggregator, could read every update',
    );
    expect((await statusOf(server.aggregator, run)).members).toEqual([]);
    const other = freshFolder();
    await cli(['group', 'init', other, '--answers', 'nonvoters', '--group', GROUP]);
    const { word: another } = await invited();
    const as = await cli(['group', 'join', other, another, '--accept-committee', '--group', 'ink']);
    expect(as.stderr).toContain('"ink" is a trustee in this run, who has no answers');
    const joined = await cli(['group', 'join', home, word, '--accept-committee']);
    expect(joined.stdout).toContain('unless 2 of "ink", "press" help it');
    expect((await statusOf(server.aggregator, run)).members).toMatchObject([{ group: GROUP }]);
  });
});

test('a simulation in which a trustee is a training group too is a conflict', async () => {
  const config = ['run', 'configs/gpo.yaml', ...SMALL, 'compare=[]', 'protection.name=seal'];
  const both = `protection.committee={members: [ink, "${GROUP}"], threshold: 2, trustees: true}`;
  const where = [
    `data.groups.training=["${GROUP}", independent-white-18-29, republican-white-50-64]`,
    `output=${freshFolder()}`,
  ];
  const ended = await cli([...config, both, ...where]);
  expect([errorOf(ended), ended.code]).toEqual(['CONFIG_CONFLICT', 2]);
});
