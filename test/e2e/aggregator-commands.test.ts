import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cli, events, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const made = join(folder, 'made');

/** A folder with keys and settings and without a database of its own: quick to make. */
const NO_DATABASE = ['--database', 'postgres://127.0.0.1:1/none'];

beforeAll(async () => {
  const { code, stdout } = await cli(['aggregator', 'init', made, '--json', ...NO_DATABASE]);
  expect(code).toBe(0);
  expect(events(stdout)).toEqual([
    { type: 'aggregator', folder: made, publicKey: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
});

describe('aggregator init', () => {
  it('makes a folder that only its owner reads', () => {
    expect(statSync(made).mode & 0o777).toBe(0o700);
    for (const key of ['identity.key', 'admin.key'])
      expect(statSync(join(made, key)).mode & 0o777).toBe(0o600);
  });

  it('never touches an aggregator that is there', async () => {
    const before = readFileSync(join(made, 'identity.key'), 'utf8');
    const { code, stderr } = await cli(['aggregator', 'init', made, ...NO_DATABASE]);
    expect(code).toBe(6);
    expect(stderr).toContain('RUN_EXISTS');
    expect(readFileSync(join(made, 'identity.key'), 'utf8')).toBe(before);
  });

  it.each([
    ['plain HTTP for the whole network', ['--host', '0.0.0.0'], 'CONFIG_CONFLICT', 'insecureHttp'],
    ['half a certificate', ['--tls-cert', 'cert.pem'], 'USAGE', '--tls-key'],
    [
      'a certificate that is not there',
      ['--tls-cert', 'no.pem', '--tls-key', 'no.pem'],
      'FILE_NOT_FOUND',
      'no.pem',
    ],
    ['no port', ['--port', '99999'], 'CONFIG_INVALID', 'port'],
    ['an address that is none', ['--public-url', 'example'], 'CONFIG_INVALID', 'publicUrl'],
  ])('refuses %s and writes nothing', async (name, flags, code, words) => {
    const place = join(folder, `refused ${name}`);
    const { stderr, code: exit } = await cli(['aggregator', 'init', place, ...NO_DATABASE, ...flags]);
    expect(exit).toBeGreaterThan(1);
    expect(stderr).toContain(code);
    expect(stderr).toContain(words);
    expect(existsSync(join(place, 'aggregator.yaml'))).toBe(false);
  });
});

describe('aggregator serve', () => {
  const refused = async (place: string, flags: readonly string[] = []) => {
    const { code, stdout } = await cli(['aggregator', 'serve', place, '--json', ...flags]);
    expect(code).toBeGreaterThan(1);
    return events(stdout).at(-1);
  };

  it('names the command that makes a folder', async () => {
    expect(await refused(join(folder, 'nowhere'))).toMatchObject({
      code: 'FOLDER_NOT_READY',
      hint: expect.stringContaining('aggregator init'),
    });
  });

  it('says that the database does not answer', async () => {
    expect(await refused(made)).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('says that the embedded database is missing', async () => {
    const place = copyOf('no-database', (yaml) => yaml.replace(/database: .*/, 'database: null'));
    expect(await refused(place)).toMatchObject({ code: 'FOLDER_NOT_READY' });
  });

  it('names a setting that it does not know', async () => {
    const place = copyOf('typo', (yaml) => yaml.replace('publicUrl', 'publicURL'));
    expect(await refused(place)).toMatchObject({
      code: 'CONFIG_UNKNOWN_KEY',
      hint: expect.stringContaining('publicUrl'),
    });
  });

  it('refuses plain HTTP beyond loopback also when a flag asks for it', async () => {
    expect(await refused(made, ['--host', '0.0.0.0'])).toMatchObject({ code: 'CONFIG_CONFLICT' });
  });
});

/** A folder with the same keys and other settings. */
function copyOf(name: string, change: (yaml: string) => string): string {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  for (const file of ['identity.key', 'admin.key']) {
    writeFileSync(join(place, file), readFileSync(join(made, file)));
  }
  writeFileSync(join(place, 'aggregator.yaml'), change(readFileSync(join(made, 'aggregator.yaml'), 'utf8')));
  return place;
}

describe('commands that talk to an aggregator', () => {
  it('say that nobody answers', async () => {
    // A port that was free a moment ago.
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
      });
    });
    const { code, stderr } = await cli(['aggregator', 'status', `http://127.0.0.1:${port}`]);
    expect(code).toBe(10);
    expect(stderr).toContain('AGGREGATOR_UNREACHABLE');
  });

  it('need an action that exists', async () => {
    const { code, stderr } = await cli(['aggregator', 'begin', made]);
    expect(code).toBe(2);
    expect(stderr).toContain('start');
  });
});
