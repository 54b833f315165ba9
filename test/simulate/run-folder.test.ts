import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { chooseRunFolder, makeRunFolder, removeLeftovers } from '../../src/simulate/run-folder.ts';
import { temporaryFolder } from '../support/cli.ts';

const root = temporaryFolder();
const configIn = (folder: string, seed = 0) =>
  parseConfig({
    seed,
    data: { survey: 'nonvoters', groups: { training: 14, unseen: 7 } },
    output: join(root, folder),
  });
const fresh = { folder: null, resume: false };

describe('a run folder', () => {
  it('is chosen without a trace, and made with its configuration', () => {
    const config = configIn('first');
    const folder = chooseRunFolder(config, fresh);
    expect(existsSync(folder)).toBe(false);
    makeRunFolder(folder, config);
    expect(readFileSync(join(folder, 'config.yaml'), 'utf8')).toContain('survey: nonvoters');
  });

  it('is never used twice, not even by two runs that start at once', () => {
    const config = configIn('twice');
    makeRunFolder(chooseRunFolder(config, fresh), config);
    expect(() => chooseRunFolder(config, fresh)).toThrowError(
      expect.objectContaining({ code: 'RUN_EXISTS' }),
    );
    expect(() => makeRunFolder(join(root, 'twice'), config)).toThrowError(
      expect.objectContaining({ code: 'RUN_EXISTS' }),
    );
  });

  it('is resumed with its own configuration only', () => {
    const config = configIn('resumed');
    makeRunFolder(chooseRunFolder(config, fresh), config);
    expect(chooseRunFolder(config, { folder: null, resume: true })).toBe(join(root, 'resumed'));
    expect(() => chooseRunFolder(configIn('resumed', 1), { folder: null, resume: true })).toThrowError(
      expect.objectContaining({ code: 'CHECKPOINT_MISMATCH' }),
    );
    expect(() => chooseRunFolder(configIn('nowhere'), { folder: null, resume: true })).toThrowError(
      expect.objectContaining({ code: 'RUN_NOT_FOUND' }),
    );
  });

  it('freezes where its files lie, so that it works from any folder', () => {
    const config = parseConfig({
      data: { path: 'opinions.csv', groups: { training: 2, unseen: 1 } },
      protection: { name: 'none' },
      features: { name: 'arrow', path: 'vectors.arrow' },
      output: join(root, 'frozen'),
    });
    makeRunFolder(join(root, 'frozen'), config);
    const text = readFileSync(join(root, 'frozen', 'config.yaml'), 'utf8');
    expect(text).toContain(join(process.cwd(), 'opinions.csv'));
    expect(text).toContain(join(process.cwd(), 'vectors.arrow'));
    // Where files lie is not what a run depends on: the same settings resume it.
    expect(chooseRunFolder(config, { folder: join(root, 'frozen'), resume: true })).toBe(
      join(root, 'frozen'),
    );
  });

  it('loses what a killed process left half-written, and nothing else', () => {
    const folder = join(root, 'left');
    mkdirSync(join(folder, 'checkpoints'), { recursive: true });
    const kept = join(folder, 'checkpoints', 'federated.ckpt');
    writeFileSync(kept, 'whole');
    writeFileSync(`${kept}.1234.tmp`, 'half');
    removeLeftovers(folder);
    expect(existsSync(kept)).toBe(true);
    expect(existsSync(`${kept}.1234.tmp`)).toBe(false);
  });
});
