import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cli, events, SMALL, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const TINY = [...SMALL, 'training.rounds=2', 'evaluation.every=1', 'compare=[group-mean]'];
const GRID = ['--seeds', '2', '--grid', 'training.localSteps=1,2'];
const run = (to: string, ...more: readonly string[]) =>
  cli(['run', 'configs/gpo.yaml', ...TINY, ...more, '--output-dir', join(folder, to)]);

/** The summary without the seconds that its runs took. */
function timeless(to: string) {
  const summary = JSON.parse(readFileSync(join(folder, to, 'summary.json'), 'utf8'));
  for (const setting of summary.settings) delete setting.seconds;
  return summary;
}

describe('run with seeds and a grid', () => {
  let whole: Awaited<ReturnType<typeof cli>>;
  beforeAll(async () => {
    whole = await run('whole', ...GRID);
    expect(whole.stderr).toContain('Run 4 of 4');
    expect(whole.code).toBe(0);
  });

  it('prints the table of settings and methods, and says what the seeds change', () => {
    expect(whole.stdout).toMatch(/setting +method +unseen mean/);
    expect(
      whole.stdout.match(/^1: localSteps 1 +(Federated|Group mean) +\*?0\.\d{3} ± 0\.\d{3}/gm),
    ).toHaveLength(2);
    expect(whole.stdout).toContain(`Report: ${join(folder, 'whole', 'report.html')}`);
    expect(whole.stderr).toContain('Each seed also draws its own training and unseen groups');
    expect(readFileSync(join(folder, 'whole', 'report.html'), 'utf8')).toContain('<!doctype html>');
  });

  it('after kill -9 goes on to the same summary from the folder alone, under --json', async () => {
    let sent = false;
    const to = join(folder, 'killed');
    const args = ['run', 'configs/gpo.yaml', ...TINY, ...GRID, '--output-dir', to, '--json'];
    const killed = await cli(args, {
      // In the second run, which is then half done.
      watch: (stdout, kill) => {
        if (sent || (stdout.match(/"type":"round"/g) ?? []).length < 3) return;
        sent = true;
        kill('SIGKILL');
      },
    });
    expect(killed.signal).toBe('SIGKILL');
    const kept = join(to, 'local-steps-1', 'seed-0', 'result.json');
    const before = statSync(kept).mtimeMs;
    const resumed = await cli(['run', to, '--resume', '--json']);
    expect(resumed.stderr).toBe('');
    expect(resumed.code).toBe(0);
    const told = events(resumed.stdout);
    expect(told[0]).toMatchObject({ type: 'grid', seeds: [0, 1], seedsDrawSplits: true });
    const cells = told.filter(({ type }) => type === 'cell');
    // How far the second was when the signal came is the machine's affair.
    expect(cells).toMatchObject([{ state: 'finished' }, {}, {}, { state: 'new' }]);
    expect(told.at(-1)).toMatchObject({ type: 'grid-result', path: join(to, 'summary.json') });
    expect(statSync(kept).mtimeMs).toBe(before);
    expect(timeless('killed')).toEqual(timeless('whole'));
  });

  it('refuses a bad cell before it writes anything', async () => {
    const refused = await run('bad', '--grid', 'training.localSteps=1,0');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('error CONFIG_INVALID: training.localSteps=0: training.localSteps');
    expect(existsSync(join(folder, 'bad'))).toBe(false);
  });

  it('refuses flags that do not go together, and folders that hold something else', async () => {
    const whole = join(folder, 'whole');
    const refused = async (code: string, ...args: readonly string[]) => {
      const { stderr, stdout } = await cli(['run', ...args]);
      expect(stderr).toContain(`error ${code}:`);
      expect(stdout).toBe('');
    };
    const config = 'configs/gpo.yaml';
    await refused('USAGE', whole, '--resume', '--seeds', '3');
    await refused('USAGE', config, '--seed', '1', '--seeds', '0,2');
    await refused('RUN_EXISTS', config, ...TINY, '--output-dir', whole);
    await refused('RUN_EXISTS', whole);
    const resumed = [config, ...TINY, '--resume', '--output-dir', whole];
    await refused('CHECKPOINT_MISMATCH', ...resumed, '--seeds', '3');
    await refused('CHECKPOINT_MISMATCH', ...resumed, ...GRID.slice(2), '--seeds', '0,2');
  });

  it('runs only the seeds that are added by --resume', async () => {
    expect((await run('grown', '--seeds', '1', ...GRID.slice(2))).code).toBe(0);
    const grown = await run('grown', ...GRID, '--resume');
    expect(grown.code).toBe(0);
    expect(grown.stderr.match(/^Run \d of 4: .*, seed 0 \(finished before\)$/gm)).toHaveLength(2);
    expect(grown.stderr.match(/^Run \d of 4: .*, seed 1$/gm)).toHaveLength(2);
    expect(timeless('grown')).toEqual(timeless('whole'));
  });

  it('shows which run failed, runs the others, and ends with its exit code', async () => {
    const failing = await run('failing', '--grid', 'training.learningRate=1.0e+30,0.001');
    expect(failing.code).toBe(8);
    expect(failing.stderr).toMatch(
      /^Run 1 of 2 failed: training\.learningRate=1e\+30, seed 0: NOT_FINITE: /m,
    );
    expect(failing.stderr).toContain('Run 2 of 2: training.learningRate=0.001, seed 0');
    expect(failing.stderr).toContain(
      'error NOT_FINITE: 1 of 2 runs failed: training.learningRate=1e+30, seed 0:',
    );
    expect(failing.stderr).toContain(`pluralllm run ${join(folder, 'failing')} --resume`);
    expect(existsSync(join(folder, 'failing', 'summary.json'))).toBe(false);
    expect(existsSync(join(folder, 'failing', 'learning-rate-0.001', 'seed-0', 'result.json'))).toBe(true);
  });

  it('writes the report again by `report`', async () => {
    const path = join(folder, 'whole', 'report.html');
    const before = readFileSync(path, 'utf8');
    const again = await cli(['report', join(folder, 'whole')]);
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/setting +method +unseen mean/);
    expect(readFileSync(path, 'utf8')).toBe(before);
  });
});
