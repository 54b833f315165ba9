import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkKeepers } from '../../src/client/sharding/seats.ts';
import { loadConfig } from '../../src/config/load.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { encodeInvitation } from '../../src/wire/invitation.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { cli, ROOT, temporaryFolder } from '../support/cli.ts';
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
  const config = loadConfig(join(ROOT, 'configs/sharded.yaml'), ['compare=[]', 'runtime.device=cpu']);
  plan = planOf(await prepareExperiment(config, () => undefined));
});
afterAll(() => server.close());

const freshFolder = () => join(folder, `vault-${folders++}`);
const errorOf = ({ stderr }: { stderr: string }) => /^error (\w+):/m.exec(stderr)?.[1];

async function started(of = plan): Promise<string> {
  return (await createRun(server.aggregator, { name: 'sharded', plan: of })).run;
}

async function word(run: string, role: 'keeper' | 'group'): Promise<string> {
  const { aggregator } = server;
  const { tokens } = await invite(aggregator, run, { group: null, count: 1, expiresInMs: 60_000, role });
  const { publicKey: aggregatorKey } = aggregator.identity;
  return encodeInvitation({ url, run, aggregatorKey, token: tokens[0]!, group: null, role });
}

describe('a keeper', () => {
  test('gets a key, a stage when it joins, and says where it is', async () => {
    const [home, run] = [freshFolder(), await started()];
    const made = await cli(['keeper', 'init', home]);
    expect(made.stdout).toContain(`Next: pluralllm keeper join ${home} <invitation>`);
    expect((await cli(['keeper', 'status', home])).stdout).toContain('in no run');
    const invitation = await word(run, 'keeper');
    const joined = await cli(['keeper', 'join', home, invitation]);
    expect(joined.stdout).toContain(
      `This keeper keeps stage 0 of the model of run "${run}", and no other stage.`,
    );
    // The same again is harmless, and gives no second stage.
    expect((await cli(['keeper', 'join', home, invitation])).stdout).toContain('keeps stage 0');
    expect((await cli(['keeper', 'status', home])).stdout).toContain(`Run "${run}" of ${url}: keeps stage 0`);
    expect((await statusOf(server.aggregator, run)).keepers).toMatchObject([{ stage: 0, keeps: true }]);
  });

  test('that does it twice, too early, in two runs or as a group is told so', async () => {
    const [home, run, other] = [freshFolder(), await started(), await started()];
    expect(errorOf(await cli(['keeper', 'serve', home]))).toBe('FOLDER_NOT_READY');
    await cli(['keeper', 'init', home]);
    expect(errorOf(await cli(['keeper', 'init', home]))).toBe('RUN_EXISTS');
    const early = await cli(['keeper', 'serve', home]);
    expect(early.stderr).toContain(`First: pluralllm keeper join ${home} <invitation>`);
    expect(errorOf(await cli(['keeper', 'join', home, await word(run, 'group')]))).toBe('INVITATION_INVALID');
    await cli(['keeper', 'join', home, await word(run, 'keeper')]);
    expect(errorOf(await cli(['keeper', 'join', home, await word(other, 'keeper')]))).toBe('RUN_EXISTS');
    const group = freshFolder();
    await cli(['group', 'init', group, '--answers', 'nonvoters', '--group', GROUP]);
    const asGroup = await cli(['group', 'join', group, await word(run, 'keeper')]);
    expect(errorOf(asGroup)).toBe('INVITATION_INVALID');
    expect(asGroup.stderr).toContain('it is for a keeper');
  });

  test('is not in a run whose groups have the whole model', async () => {
    const { sharding: _, ...config } = plan.config;
    const whole = loadConfig(join(ROOT, 'configs/sharded.yaml'), ['compare=[]', 'sharding=null']);
    const { parameters } = planOf(await prepareExperiment(whole, () => undefined));
    const run = await started({ ...plan, config, parameters });
    const home = freshFolder();
    await cli(['keeper', 'init', home]);
    const refused = await cli(['keeper', 'join', home, await word(run, 'keeper')]);
    expect(errorOf(refused)).toBe('CONFIG_CONFLICT');
    expect(refused.stderr).toContain('every group has the whole model');
  });

  test('takes a list of the others, one key a line', async () => {
    const [home, run] = [freshFolder(), await started()];
    const list = join(folder, 'keepers.txt');
    const { stdout } = await cli(['keeper', 'init', home]);
    const own = /^Public key: (\w+)$/m.exec(stdout)![1]!;
    writeFileSync(list, `# keepers\n${own}\n\nnot a key\n`);
    const refused = await cli(['keeper', 'join', home, await word(run, 'keeper'), '--keepers', list]);
    expect(errorOf(refused)).toBe('CONFIG_INVALID');
    expect(refused.stderr).toContain('line 4');
    writeFileSync(list, `# keepers\n${own}\n`);
    const joined = await cli(['keeper', 'join', home, await word(run, 'keeper'), '--keepers', list]);
    expect(joined.code).toBe(0);
  });
});

test('a keeper that is on no list, or stands by and is on none, is refused by those who have one', () => {
  const seat = (id: string) => ({ id, agreementKey: '', signature: '' });
  const seats = {
    keepers: [seat('a'), seat('b'), seat('c')],
    standbys: [{ stage: 0, seat: seat('d') }],
    groups: [],
  };
  expect(() => checkKeepers(seats, null)).not.toThrow();
  expect(() => checkKeepers(seats, ['d', 'c', 'b', 'a'])).not.toThrow();
  const untrusted = expect.objectContaining({ code: 'AGGREGATOR_UNTRUSTED' });
  expect(() => checkKeepers(seats, ['a', 'b', 'c'])).toThrow(untrusted);
  expect(() => checkKeepers(seats, ['a', 'c', 'd'])).toThrow(untrusted);
});
