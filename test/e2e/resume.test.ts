import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { cli, events, SMALL, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const QUICKSTART = ['run', 'configs/gpo.yaml', ...SMALL];

/** All that must not depend on workers or interruptions: model, figures, scores. */
function outcome(run: string) {
  const record = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'));
  return {
    model: readFileSync(join(run, 'model.onnx')).toString('base64'),
    metrics: readFileSync(join(run, 'metrics.jsonl'), 'utf8'),
    modelDigest: record.modelDigest,
    methods: record.methods,
    bytes: record.bytes,
  };
}

/** Ends the process when the n-th round or local model of any method comes by. */
function endAtRound(n: number, signal: NodeJS.Signals) {
  let sent = false;
  return (stdout: string, kill: (signal: NodeJS.Signals) => void) => {
    const rounds = stdout.split('\n').filter((line) => /"type":"(round|local-model)"/.test(line)).length;
    if (rounds < n || sent) return;
    sent = true;
    kill(signal);
  };
}

describe('a run and its interruptions', () => {
  const whole = join(folder, 'whole');
  beforeAll(async () => {
    const { code } = await cli([...QUICKSTART, '--output-dir', whole, '--workers', '1', '--quiet']);
    expect(code).toBe(0);
  });

  it('gives the same bytes with two workers', async () => {
    const run = join(folder, 'two');
    const { code } = await cli([...QUICKSTART, '--output-dir', run, '--workers', '2', '--quiet']);
    expect(code).toBe(0);
    expect(outcome(run)).toEqual(outcome(whole));
  });

  // Rounds of all methods together: 6 federated, 6 + 6 centralised, 14 local models.
  const random = randomStream(20261122, 'interruptions');
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    for (const attempt of [1, 2]) {
      const at = 1 + random.below(attempt === 1 ? 6 : 31);
      it(`goes on to the same bytes after ${signal} at round or model ${at}`, async () => {
        const run = join(folder, `${signal}-${attempt}`);
        const stopped = await cli([...QUICKSTART, '--output-dir', run, '--json'], {
          watch: endAtRound(at, signal),
        });
        if (signal === 'SIGINT') {
          expect(stopped.code).toBe(130);
          expect(events(stopped.stdout).at(-1)).toMatchObject({ type: 'error', code: 'INTERRUPTED' });
        } else {
          expect(stopped.signal).toBe('SIGKILL');
        }
        const resumed = await cli(['run', run, '--resume', '--quiet']);
        expect(resumed.stderr).toBe('');
        expect(resumed.code).toBe(0);
        expect(outcome(run)).toEqual(outcome(whole));
      });
    }
  }

  it('changes nothing when a finished run is resumed', async () => {
    const before = outcome(whole);
    expect((await cli(['run', whole, '--resume', '--quiet'])).code).toBe(0);
    expect(outcome(whole)).toEqual(before);
  });

  it('another seed gives another model', async () => {
    const run = join(folder, 'other-seed');
    const small = ['training.rounds=1', 'compare=[]', '--seed', '1', '--quiet'];
    expect((await cli([...QUICKSTART, ...small, '--output-dir', run])).code).toBe(0);
    expect(outcome(run).modelDigest).not.toBe(outcome(whole).modelDigest);
  });
});
