import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { GroupHome } from '../../src/client/home.ts';
import { sha256 } from '../../src/core/digest.ts';
import { openLedger, spend, spentEpsilon } from '../../src/privacy/differential/ledger.ts';
import { ledgerSchema } from '../../src/privacy/differential/ledger-schema.ts';
import { DEFAULT_ORDERS, epsilonOf, rdpOfGaussian, repeatRdp } from '../../src/privacy/differential/rdp.ts';
import { cli, events, type Finished, temporaryFolder } from '../support/cli.ts';
import { tinySurvey } from '../support/tiny-survey.ts';

const QUICKSTART = 'configs/gpo.yaml';
const NOISED = [
  'protection.differentialPrivacy.epsilon=8',
  'protection.clipNorm=0.5',
  'protection.leastGroups=14',
  'strategy.weighting=equal',
];
const errorOf = ({ stderr }: Finished) => /^error (\w+):/m.exec(stderr)?.[1];
/** Widest line of what yargs prints where it knows no width. */
const WIDTH = 100;

describe('pluralllm privacy', () => {
  const guaranteeSchema = z.object({
    epsilons: z.array(z.number().positive()),
    delta: z.number(),
    rounds: z.int(),
    localSigma: z.number().min(0.5),
    honestSurvivors: z.int().min(1),
    rdpPerRound: z.array(z.number().positive()),
  });
  const eventSchema = z.strictObject({
    type: z.literal('privacy'),
    protection: z.string(),
    reveals: z.enum(['rows', 'sum']),
    guarantee: guaranteeSchema.nullable(),
  });
  const privacy = (...args: string[]) => cli(['privacy', QUICKSTART, ...args]);

  test('says round by round what a configuration with noise spends, and under what assumption', async () => {
    const { code, stdout, stderr } = await privacy(...NOISED);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('the aggregator sees nothing but the sum of the updates of a round.');
    expect(stdout).toContain('spends, at delta 0.00001:');
    const rows = [...stdout.matchAll(/^ *(\d+) +(\d+\.\d{3})$/gm)].map(([, round, epsilon]) => [
      Number(round),
      Number(epsilon),
    ]);
    expect(rows.map(([round]) => round)).toEqual([1, 10, 20, 30, 40]);
    expect(rows.at(-1)).toEqual([40, 8]);
    expect(rows[0]![1]).toBeLessThan(rows[1]![1]!);
    expect(stdout).toContain('at most a share of 0.1 of the groups works with the aggregator');
    expect(stdout).toContain('In a simulation ("pluralllm run") the noise follows from the seed');
  });

  test.each([
    ['1', [1]],
    ['7', [1, 2, 4, 6, 7]],
  ])('shows no round of %s twice', async (rounds, expected) => {
    const { stdout } = await privacy(...NOISED, `training.rounds=${rounds}`);
    const shown = [...stdout.matchAll(/^ *(\d+) +\d+\.\d{3}$/gm)].map(([, round]) => Number(round));
    expect(shown).toEqual(expected);
  });

  test('says as JSON what a program needs, and nothing else', async () => {
    const { code, stdout, stderr } = await privacy(...NOISED, '--json');
    expect([code, stderr]).toEqual([0, '']);
    const all = events(stdout);
    expect(all).toHaveLength(1);
    const { guarantee, ...about } = eventSchema.parse(all[0]);
    expect(about).toEqual({ type: 'privacy', protection: 'mask', reveals: 'sum' });
    const { epsilons, rdpPerRound, delta, rounds, honestSurvivors } = guarantee!;
    expect({ delta, rounds, honestSurvivors }).toEqual({ delta: 1e-5, rounds: 40, honestSurvivors: 11 });
    const again = epsilons.map((_, i) =>
      epsilonOf({ orders: DEFAULT_ORDERS, rdp: repeatRdp(rdpPerRound, i + 1), delta }),
    );
    expect(epsilons).toEqual(again);
    expect(epsilons.at(-1)).toBeLessThanOrEqual(8);
    expect(epsilons.at(-1)).toBeGreaterThan(0.99 * 8);
  });

  test.each([
    ['mask', 'sum', 'the aggregator sees nothing but the sum of the updates of a round.', 'the sums and'],
    ['none', 'rows', 'the aggregator sees every update in clear.', 'the updates and'],
  ])('says that %s without noise has no bound', async (name, reveals, sees, unbounded) => {
    const override = `protection.name=${name}`;
    const { code, stdout, stderr } = await privacy(override, '--quiet');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Protection "${name}": ${sees}`);
    expect(stdout).toContain(
      `nothing bounds what ${unbounded} the trained model tell of a group (epsilon is infinite)`,
    );
    const told = events((await privacy(override, '--json')).stdout);
    expect(told).toEqual([{ type: 'privacy', protection: name, reveals, guarantee: null }]);
  });

  test.each([
    ['no clip norm', NOISED.filter((one) => !/clipNorm/.test(one)), 'CONFIG_CONFLICT', 'protection.clipNorm'],
    ['weights by answers', NOISED.slice(0, 3), 'CONFIG_CONFLICT', 'strategy.weighting=equal'],
    ['fewest groups', [...NOISED, 'protection.leastGroups=3'], 'CONFIG_CONFLICT', 'protection.leastGroups'],
    ['no epsilon', [...NOISED, 'protection.differentialPrivacy.epsilon=0'], 'CONFIG_INVALID', 'epsilon'],
    ['a slip', [...NOISED, 'protection.differentialPrivacy.epsilom=8'], 'CONFIG_UNKNOWN_KEY', '"epsilon"'],
    [
      'more groups than there are',
      [...NOISED, 'protection.leastGroups=15'],
      'CONFIG_CONFLICT',
      'at least 15',
    ],
    ['no override', [...NOISED, 'epsilon'], 'USAGE', 'key=value'],
  ])('%s is refused, with what to change', async (_, overrides, code, change) => {
    const refused = await privacy(...overrides);
    expect(errorOf(refused)).toBe(code);
    expect(refused.stderr).toContain(change);
    expect(refused.stdout).toBe('');
  });

  test('no file is an error of its own', async () => {
    expect(errorOf(await cli(['privacy', 'nowhere.yaml']))).toBe('FILE_NOT_FOUND');
    const told = await cli(['privacy', '--json']);
    expect(events(told.stdout)).toMatchObject([{ type: 'error', code: 'USAGE' }]);
  });
});

describe('pluralllm group budget', () => {
  const root = temporaryFolder();
  let count = 0;
  const budget = (folder: string, ...args: string[]) => cli(['group', 'budget', folder, ...args]);
  const BUDGET = ['--epsilon', '8', '--delta', '1e-5'];

  /** A group's folder, and its ledger. */
  function fresh(): { home: GroupHome; folder: string; file: string } {
    const folder = join(root, `group-${count++}`);
    const home = new GroupHome(folder);
    home.create(tinySurvey({ groups: 2 }), 'g1');
    return { home, folder, file: join(folder, 'privacy-ledger.json') };
  }

  const rdp = rdpOfGaussian(5, DEFAULT_ORDERS);
  /** What a group has spent in rounds of two runs. */
  function spentIn(home: GroupHome, rounds: number): number {
    const [one, other] = [sha256('one'), sha256('other')];
    let ledger = spend(openLedger({ epsilon: 4, delta: 1e-5 }), { run: other, round: 1, attempt: 1, rdp });
    for (let round = 1; round < rounds; round++) ledger = spend(ledger, { run: one, round, attempt: 1, rdp });
    home.saveLedger(ledger);
    return spentEpsilon(ledger);
  }

  test('shows that none is set, and leaves it at that', async () => {
    const { folder, file } = fresh();
    const { code, stdout, stderr } = await budget(folder);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^No budget is set, and nothing was spent\./);
    expect(existsSync(file)).toBe(false);
    const told = events((await budget(folder, '--json')).stdout);
    expect(told).toEqual([{ type: 'budget', budget: null, spent: 0, rounds: 0 }]);
  });

  test('sets one, in a file for the owner alone, and shows it', async () => {
    const { home, folder, file } = fresh();
    const made = await budget(folder, ...BUDGET);
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(made.stdout).toBe('Spent: epsilon 0.000 of 8 at delta 0.00001, for 0 updates in 0 runs.\n');
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
    expect(home.loadLedger()).toEqual(openLedger({ epsilon: 8, delta: 1e-5 }));
    expect((await budget(folder)).stdout).toBe(made.stdout);
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  test('shows what was spent, at the delta of the budget', async () => {
    const { home, folder, file } = fresh();
    const spent = spentIn(home, 10);
    const before = readFileSync(file, 'utf8');
    const { stdout } = await budget(folder);
    expect(stdout).toBe(
      `Spent: epsilon ${spent.toPrecision(4)} of 4 at delta 0.00001, for 10 updates in 2 runs.\n`,
    );
    expect(readFileSync(file, 'utf8')).toBe(before);
    const told = events((await budget(folder, '--json')).stdout);
    expect(told).toEqual([{ type: 'budget', budget: { epsilon: 4, delta: 1e-5 }, spent, rounds: 10 }]);
  });

  test('keeps what was spent when the budget is changed, and says when nothing is left', async () => {
    const { home, folder, file } = fresh();
    const spent = spentIn(home, 1);
    const { runs, curves } = home.loadLedger()!;
    const lowered = await budget(folder, '--epsilon', '0.5', '--delta', '1e-5');
    expect(lowered.stdout).toContain(
      `Spent: epsilon ${spent.toPrecision(4)} of 0.5 at delta 0.00001, for 1 update in 1 run.`,
    );
    expect(lowered.stdout).toContain('Nothing is left');
    expect(home.loadLedger()).toMatchObject({ runs, curves, budget: { epsilon: 0.5, delta: 1e-5 } });
    const [raised] = events((await budget(folder, '--epsilon', '20', '--delta', '1e-9', '--json')).stdout);
    expect(raised).toMatchObject({ budget: { epsilon: 20, delta: 1e-9 }, rounds: 1 });
    expect(raised!['spent']).toBe(spentEpsilon(home.loadLedger()!));
    expect(raised!['spent']).toBeGreaterThan(spent);
    expect(ledgerSchema.safeParse(JSON.parse(readFileSync(file, 'utf8'))).success).toBe(true);
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  });

  describe('refuses', () => {
    let made: ReturnType<typeof fresh>;
    beforeAll(async () => {
      made = fresh();
      await budget(made.folder, ...BUDGET);
    });

    test.each([
      ['epsilon 0', ['--epsilon', '0', '--delta', '1e-5']],
      ['a negative epsilon', ['--epsilon', '-1', '--delta', '1e-5']],
      ['an epsilon that is no number', ['--epsilon', 'NaN', '--delta', '1e-5']],
      ['an epsilon without end', ['--epsilon', 'Infinity', '--delta', '1e-5']],
      ['delta 1', ['--epsilon', '8', '--delta', '1']],
      ['epsilon alone', ['--epsilon', '8']],
      ['delta alone', ['--delta', '1e-5']],
    ])('%s, and keeps the budget as it was', async (_, args) => {
      const { home, folder } = made;
      const refused = await budget(folder, ...args);
      expect(errorOf(refused)).toBe('USAGE');
      expect(refused.stdout).toBe('');
      expect(home.loadLedger()!.budget).toEqual({ epsilon: 8, delta: 1e-5 });
    });

    test('a folder that is no group', async () => {
      expect(errorOf(await budget(join(root, 'nowhere')))).toBe('FOLDER_NOT_READY');
      expect(errorOf(await budget(join(root, 'nowhere'), ...BUDGET))).toBe('FOLDER_NOT_READY');
    });
  });

  test.each([
    ['cut off', (text: string) => text.slice(0, text.length / 2)],
    ['empty', () => ''],
    ['with a round in it that is nowhere priced', (text: string) => text.replace('"curve": 0', '"curve": 7')],
  ])('a ledger that is %s is not written over: its cure is a backup', async (_, damage) => {
    const { home, folder, file } = fresh();
    spentIn(home, 3);
    const damaged = damage(readFileSync(file, 'utf8'));
    writeFileSync(file, damaged);
    for (const args of [[], BUDGET]) {
      const refused = await budget(folder, ...args);
      expect(errorOf(refused)).toBe('CHECKPOINT_CORRUPT');
      expect(refused.stderr).toContain(
        'Restore it from a backup: without it, nobody knows what the group has spent.',
      );
      expect(readFileSync(file, 'utf8')).toBe(damaged);
    }
  });
});

test.each([[['privacy']], [['group', 'budget']]])('the help of %j fits its width', async (command) => {
  const { code, stdout } = await cli([...command, '--help']);
  expect(code).toBe(0);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(WIDTH);
  const examples = stdout.slice(stdout.indexOf('Examples:')).trim().split('\n').slice(1);
  expect(examples.length).toBeGreaterThan(0);
  // Each in one line, also in a terminal of 80 cells.
  for (const line of examples) expect(line).toMatch(/^ {2}pluralllm .{1,68}$/);
});
