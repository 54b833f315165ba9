import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from '../../src/core/files.ts';
import { addressIn, forgetAddress, noteAddress } from '../../src/server/address.ts';
import { settingsSchema } from '../../src/server/settings.ts';
import { temporaryFolder } from '../support/cli.ts';

const settings = settingsSchema.parse({ listen: { host: '127.0.0.1', port: 4321 } });
const SETTINGS_URL = 'http://127.0.0.1:4321';
const tls = settingsSchema.parse({ listen: { port: 4321 }, tls: { cert: 'c', key: 'k' } });

test('the address is what was noted, else what the settings say', () => {
  const folder = temporaryFolder();
  expect(addressIn(folder, settings)).toBe(SETTINGS_URL);
  expect(addressIn(folder, tls)).toBe('https://127.0.0.1:4321');
  noteAddress(folder, 'http://127.0.0.1:1000');
  expect(addressIn(folder, settings)).toBe('http://127.0.0.1:1000');
  forgetAddress(folder, 'http://127.0.0.1:1000');
  expect(addressIn(folder, settings)).toBe(SETTINGS_URL);
});

test('a replica that ends does not take away the address of another that shares the folder', () => {
  const folder = temporaryFolder();
  noteAddress(folder, 'http://127.0.0.1:1000');
  noteAddress(folder, 'http://127.0.0.1:2000');
  forgetAddress(folder, 'http://127.0.0.1:1000');
  expect(addressIn(folder, settings)).toBe('http://127.0.0.1:2000');
});

test('a folder that cannot be written to is served from all the same', () => {
  const folder = join(temporaryFolder(), 'mounted');
  makeFolder(folder);
  chmodSync(folder, 0o500);
  for (const place of [folder, join(folder, 'not there')]) {
    expect(() => noteAddress(place, 'http://127.0.0.1:1000')).not.toThrow();
    expect(() => forgetAddress(place, 'http://127.0.0.1:1000')).not.toThrow();
  }
  chmodSync(folder, 0o700);
});
