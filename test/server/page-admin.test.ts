import type { Page } from 'playwright-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeInvitation } from '../../src/wire/invitation.ts';
import { ADMIN_KEY, AGGREGATOR_KEY } from '../support/fake-aggregator.ts';
import { HOSTILE_NAME, statusFixture } from '../support/status-fixture.ts';
import { noBrowser, untilText, watchedPages, why } from '../support/watched-page.ts';

const RUN = 'nonvoters-quickstart';
/** What the console says of a refused call; the page says it in words. */
const REFUSED = /status of 401/;

describe.skipIf(noBrowser)(`administration on the status page${why}`, () => {
  const { fake, origin, open } = watchedPages();

  beforeEach(() => {
    fake.seen.length = 0;
    fake.runs.clear();
    fake.set(statusFixture({ names: [HOSTILE_NAME] }));
  });

  const calls = () => fake.seen.filter(({ path }) => path.startsWith('/v1/admin/'));
  const lastCall = () => calls().at(-1);

  async function useKey(page: Page, key: string): Promise<void> {
    await untilText(page, '#run-name', RUN);
    await page.getByLabel('Admin key').fill(key);
    await page.keyboard.press('Enter');
  }

  async function wordsOf(page: Page): Promise<string[]> {
    const words = page.getByLabel(/invitations? to/);
    await expect.poll(() => words.inputValue()).not.toBe('');
    return (await words.inputValue()).split('\n');
  }

  it('offers nothing without the key, and nothing once it is forgotten', async () => {
    await open({}, async (page) => {
      await untilText(page, '#replied', '11 of 14');
      const acts = page.getByRole('button', { name: /Stop|Start|Open round|Make invitations|Revoke/ });
      expect(await acts.count()).toBe(0);
      await useKey(page, ADMIN_KEY);
      expect(await acts.count()).toBe(2 + 14);
      await page.getByRole('button', { name: 'Make invitations' }).click();
      await wordsOf(page);
      await page.getByRole('button', { name: 'Forget the key' }).click();
      expect(await acts.count()).toBe(0);
      expect(await page.locator('#invitation-words').inputValue()).toBe('');
    });
  });

  it('keeps the key in memory only', async () => {
    await open({}, async (page) => {
      await useKey(page, ADMIN_KEY);
      await page.getByRole('button', { name: 'Make invitations' }).click();
      await wordsOf(page);
      const kept = '[localStorage.length, sessionStorage.length, document.cookie]';
      expect(await page.evaluate(kept)).toEqual([0, 0, '']);
      expect(await page.getByLabel('Admin key').inputValue()).toBe('');
      expect(page.url()).not.toContain(ADMIN_KEY);
      expect(await page.content()).not.toContain(ADMIN_KEY);
      const elsewhere = fake.seen.filter(({ path }) => !path.startsWith('/v1/admin/'));
      expect(elsewhere.every(({ authorization }) => authorization === undefined)).toBe(true);
    });
  });

  it('shows what the aggregator says to a wrong key: code, message and hint', async () => {
    await open({ expected: REFUSED }, async (page) => {
      await useKey(page, 'wrong-key');
      await page.getByRole('button', { name: 'Make invitations' }).click();
      const alert = page.getByRole('alert');
      await untilText(page, '#admin-error', 'ADMIN_KEY_REQUIRED');
      expect(await alert.textContent()).toContain('this is not the admin key');
      expect(await alert.textContent()).toContain('Take the key from the admin.key file');
      expect(await alert.isVisible()).toBe(true);
      expect(lastCall()?.authorization).toBe('Bearer wrong-key');
      await page.getByRole('button', { name: 'Dismiss' }).click();
      expect(await alert.isVisible()).toBe(false);
    });
  });

  it('does not send what cannot be a key', async () => {
    await open({}, async (page) => {
      await useKey(page, 'clé très secrète');
      await page.getByRole('button', { name: 'Make invitations' }).click();
      await untilText(page, '#admin-error', 'ADMIN_KEY_REQUIRED');
      expect(calls()).toEqual([]);
    });
  });

  it('makes invitations that groups can read, shows them once and copies them', async () => {
    await open({}, async (page) => {
      await useKey(page, ADMIN_KEY);
      await page.getByLabel('How many').fill('3');
      await page.getByRole('button', { name: 'Make invitations' }).click();
      const words = await wordsOf(page);
      const invitations = words.map(decodeInvitation);
      const common = { url: origin(), run: RUN, aggregatorKey: AGGREGATOR_KEY, group: null };
      expect(invitations).toEqual(invitations.map(({ token }) => ({ ...common, token })));
      expect(new Set(invitations.map(({ token }) => token)).size).toBe(3);
      expect(JSON.parse(lastCall()?.body ?? '')).toEqual({
        group: null,
        count: 3,
        expiresInMs: 7 * 86_400_000,
      });
      await page.getByRole('button', { name: 'Copy' }).click();
      await untilText(page, '#admin-done', 'Copied.');
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(words.join('\n'));
      await page.getByRole('button', { name: 'Done' }).click();
      expect(await page.locator('#invitation-words').inputValue()).toBe('');
    });
  });

  it('makes one invitation for a group with a name, of any letters', async () => {
    await open({}, async (page) => {
      await useKey(page, ADMIN_KEY);
      await page.getByLabel('Name of the group').fill('جماعة الرباط ☮');
      await page.getByRole('button', { name: 'Make invitations' }).click();
      const [word = '', ...others] = await wordsOf(page);
      expect(others).toEqual([]);
      expect(decodeInvitation(word).group).toBe('جماعة الرباط ☮');
    });
  });

  it('stops a run only after a second step, which an update does not take away', async () => {
    await open({}, async (page) => {
      await useKey(page, ADMIN_KEY);
      const stop = page.getByRole('button', { name: 'Stop this run' });
      await stop.click();
      await page.keyboard.press('Escape');
      expect(await stop.isVisible()).toBe(true);
      await stop.click();
      fake.set(statusFixture({ awaited: 1 }));
      fake.push('received', { round: 12, step: 0, group: 'x', replied: 13, asked: 14 });
      await untilText(page, '#replied', '13 of 14');
      expect(await stop.isVisible()).toBe(false);
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Let it run');
      expect(calls()).toEqual([]);
      await page.getByRole('button', { name: 'Stop it' }).click();
      await untilText(page, '#phase', 'Stopped');
      expect(lastCall()).toMatchObject({
        method: 'POST',
        path: `/v1/admin/runs/${RUN}/stop`,
        authorization: `Bearer ${ADMIN_KEY}`,
      });
      expect(await page.getByRole('button', { name: /Stop|Start|Make invitations/ }).count()).toBe(0);
    });
  });

  it('opens a failed round again', async () => {
    const failure = 'round 12: 3 of 10 needed updates came in time';
    fake.set({ ...statusFixture(), phase: 'failed', failure, deadlineAt: null });
    await open({}, async (page) => {
      await useKey(page, ADMIN_KEY);
      expect(await page.locator('#failure').textContent()).toBe(failure);
      await page.getByRole('button', { name: 'Open round 12 again' }).click();
      await untilText(page, '#phase', 'Collecting updates');
      expect(lastCall()?.path).toBe(`/v1/admin/runs/${RUN}/start`);
    });
  });

  it('revokes a group, whatever it calls itself', async () => {
    await open({}, async (page) => {
      await useKey(page, ADMIN_KEY);
      await page.locator('#members button').first().click();
      expect(calls()).toEqual([]);
      await page.locator('#members .confirm .danger').click();
      await untilText(page, '#admin-done', 'is revoked');
      expect(lastCall()).toMatchObject({
        method: 'DELETE',
        path: `/v1/admin/runs/${RUN}/groups/${encodeURIComponent(HOSTILE_NAME)}`,
      });
      await untilText(page, '#members-title', 'In the run: 13');
      expect(await page.locator('#members').textContent()).not.toContain('<img');
    });
  });
});
