import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AggregatorApi } from '../../src/client/api.ts';
import { GroupHome } from '../../src/client/home.ts';
import { checkAddress, joinRun, nameIn } from '../../src/client/join.ts';
import { once } from '../../src/client/retry.ts';
import { httpTransport, type Transport } from '../../src/client/transport.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Survey } from '../../src/data/survey.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { type Experiment, prepareExperiment } from '../../src/simulate/experiment.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import type { Invitation } from '../../src/wire/invitation.ts';
import { ROOT, SMALL, temporaryFolder } from '../support/cli.ts';
import { openTestAggregator, type TestAggregator } from '../support/test-aggregator.ts';

const folder = temporaryFolder();
let server: TestAggregator;
let url: string;
let experiment: Experiment;
let homes = 0;

beforeAll(async () => {
  server = await openTestAggregator();
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  const overrides = [...SMALL, 'compare=[]', 'data.heldOutQuestions=0.2'];
  experiment = await prepareExperiment(
    loadConfig(join(ROOT, 'configs/gpo.yaml'), overrides),
    () => undefined,
  );
});
afterAll(() => server.close());

const group = () => experiment.survey.groups[0]!.id;

/** A folder with the answers of the first group, or with those of this survey. */
function initialised(survey: Survey = experiment.survey): GroupHome {
  const home = new GroupHome(join(folder, `home-${homes++}`));
  home.create(survey, survey.groups[0]!.id);
  return home;
}

/** A run of its own that waits for many, with an invitation for one. */
async function invited(): Promise<Invitation> {
  const plan = planOf(experiment);
  const { run } = await createRun(server.aggregator, { name: 'join', plan });
  const { tokens } = await invite(server.aggregator, run, { group: null, count: 1, expiresInMs: 60_000 });
  const { publicKey: aggregatorKey } = server.aggregator.identity;
  return { url, run, aggregatorKey, token: tokens[0]!, group: null };
}

interface Attempt {
  readonly home: GroupHome;
  readonly invitation: Invitation;
  readonly name?: string;
  readonly through?: (real: Transport) => Transport;
}

async function attempt({ home, invitation, name = group(), through = (real) => real }: Attempt) {
  const { run, aggregatorKey } = invitation;
  const { send, close } = httpTransport({ url });
  const api = new AggregatorApi({
    transport: through(send),
    identity: home.identity(),
    aggregatorKey,
    run,
    retry: once,
  });
  const common = { ca: null, featuresPath: null, peers: null, leastGroups: 1, warn: () => undefined };
  try {
    return await joinRun({ home, invitation, api, group: name, ...common });
  } finally {
    close();
  }
}

async function members(run: string): Promise<string[]> {
  const status = await statusOf(server.aggregator, run);
  return status.members.map((member) => member.group);
}

describe('joining', () => {
  test('stores what was learned, and puts the group on the list', async () => {
    const home = initialised();
    const invitation = await invited();
    const membership = await attempt({ home, invitation });
    expect(home.membership()).toEqual(membership);
    expect(membership).toMatchObject({ run: invitation.run, group: group(), url });
    expect(home.loadRecord().machine).toEqual({
      group: group(),
      phase: 'idle',
      round: 0,
      attempt: 1,
      step: 0,
    });
    expect(await members(invitation.run)).toEqual([group()]);
  });

  test('twice is harmless', async () => {
    const home = initialised();
    const invitation = await invited();
    await attempt({ home, invitation });
    await attempt({ home, invitation });
    expect(await members(invitation.run)).toEqual([group()]);
  });

  test('again after a kill before anything was stored works with the same invitation', async () => {
    const home = initialised();
    const invitation = await invited();
    const through =
      (real: Transport): Transport =>
      async (request) => {
        const answer = await real(request);
        if (request.path.endsWith('/groups')) throw new Error('killed');
        return answer;
      };
    await expect(attempt({ home, invitation, through })).rejects.toThrow('killed');
    expect(home.membershipOrNull()).toBeNull();
    await attempt({ home, invitation });
    expect(home.membership().run).toBe(invitation.run);
  });

  test('with an invitation that somebody used is refused, and nothing is stored', async () => {
    const invitation = await invited();
    await attempt({ home: initialised(), invitation });
    const late = initialised();
    const refused = attempt({ home: late, invitation, name: 'late' });
    await expect(refused).rejects.toMatchObject({ code: 'INVITATION_INVALID' });
    expect(late.membershipOrNull()).toBeNull();
  });
});

describe('a group that cannot do its part', () => {
  /** The survey with one answer of the first group left. */
  function oneAnswer(): Survey {
    const { survey } = experiment;
    return { ...survey, answers: [survey.answers[0]!.slice(0, 1), ...survey.answers.slice(1)] };
  }

  test('is told so, and nobody waits for it', async () => {
    const home = initialised(oneAnswer());
    const invitation = await invited();
    const joining = attempt({ home, invitation });
    await expect(joining).rejects.toMatchObject({ code: 'DATA_CONTEXT_TOO_LARGE' });
    expect(home.membershipOrNull()).toBeNull();
    expect(await members(invitation.run)).toEqual([]);
  });

  test('can come back with the same key and the same invitation when that is put right', async () => {
    const home = initialised(oneAnswer());
    const invitation = await invited();
    const joining = attempt({ home, invitation });
    await expect(joining).rejects.toMatchObject({ code: 'DATA_CONTEXT_TOO_LARGE' });
    const whole = initialised();
    copyFileSync(join(whole.folder, 'answers.arrow'), join(home.folder, 'answers.arrow'));
    await attempt({ home, invitation });
    expect(await members(invitation.run)).toEqual([group()]);
  });
});

test('a definition that was changed on its way is noticed before anything is done with it', async () => {
  const home = initialised();
  const invitation = await invited();
  const through =
    (real: Transport): Transport =>
    async (request) => {
      const answer = await real(request);
      if (!request.path.endsWith('/groups')) return answer;
      const content = JSON.parse(Buffer.from(answer.body).toString('utf8'));
      content.definition.plan.parameters++;
      return { ...answer, body: Buffer.from(JSON.stringify(content)) };
    };
  const joining = attempt({ home, invitation, through });
  await expect(joining).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
  expect(home.membershipOrNull()).toBeNull();
});

test('an aggregator with another key than the invitation says is not joined', async () => {
  const home = initialised();
  const invitation = { ...(await invited()), aggregatorKey: 'a'.repeat(64) };
  await expect(attempt({ home, invitation })).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
  expect(await members(invitation.run)).toEqual([]);
});

describe('addresses', () => {
  test.each([
    'https://aggregator.example',
    'http://127.0.0.1:8790',
    'http://127.1.2.3',
    'http://localhost:1',
    'http://a.localhost',
    'http://[::1]:8790/path',
  ])('%s is fine', (address) => {
    expect(() => checkAddress(address, false)).not.toThrow();
  });

  test.each(['http://aggregator.example', 'http://10.0.0.1', 'http://127.0.0.1.example', 'http://[::2]'])(
    '%s is refused unless that is wanted',
    (address) => {
      expect(() => checkAddress(address, false)).toThrow(
        expect.objectContaining({ code: 'CONFIG_CONFLICT' }),
      );
      expect(() => checkAddress(address, true)).not.toThrow();
    },
  );
});

describe('the name in the run', () => {
  const invitation = (fixed: string | null): Invitation => ({
    url: 'http://127.0.0.1',
    run: 'r',
    aggregatorKey: 'a'.repeat(64),
    token: null,
    group: fixed,
  });

  test.each([
    [null, undefined, 'own'],
    [null, 'asked', 'asked'],
    ['fixed', undefined, 'fixed'],
    ['fixed', 'fixed', 'fixed'],
  ])('invitation %s, asked %s: %s', (fixed, asked, expected) => {
    expect(nameIn(invitation(fixed), asked, 'own')).toBe(expected);
  });

  test('cannot be another than the invitation fixes', () => {
    const naming = () => nameIn(invitation('fixed'), 'asked', 'own');
    expect(naming).toThrow(expect.objectContaining({ code: 'CONFIG_CONFLICT' }));
  });

  test('has no control characters', () => {
    const naming = () => nameIn(invitation(null), 'a\u001bb', 'own');
    expect(naming).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
