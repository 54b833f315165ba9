import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { temporaryFolder } from '../support/cli.ts';
import { HOSTILE_NAME, type StatusOptions, statusFixture } from '../support/status-fixture.ts';
import { noBrowser, untilText, watchedPages, why } from '../support/watched-page.ts';

const VIEWS = [
  { name: 'wide-light', width: 1280, colorScheme: 'light' },
  { name: 'wide-dark', width: 1280, colorScheme: 'dark' },
  { name: 'tablet-light', width: 800, colorScheme: 'light' },
  { name: 'tablet-dark', width: 800, colorScheme: 'dark' },
  { name: 'phone-light', width: 390, colorScheme: 'light' },
  { name: 'phone-dark', width: 390, colorScheme: 'dark' },
] as const;

/** Pairs of texts in one plot whose boxes overlap by more than a pixel across and three down. */
const OVERLAPS = `[...document.querySelectorAll('svg.plot')].flatMap((svg) => {
  const texts = [...svg.querySelectorAll('text')].map((node) => [node.textContent, node.getBoundingClientRect()]);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  return texts.flatMap(([name, box], i) => texts.slice(i + 1).filter(([, other]) => meet(box, other))
    .map(([other]) => name + ' | ' + other));
})`;
/** Buttons and fields that are too small for a finger. */
const SMALL = `[...document.querySelectorAll('button, input, summary, nav a')].filter((node) => node.checkVisibility())
  .filter((node) => node.getBoundingClientRect().height < 24).map((node) => node.textContent)`;

const LONG_NAME = 'אבגד '.repeat(10) + 'x'.repeat(200);

describe.skipIf(noBrowser)(`looks of the status page${why}`, () => {
  const { fake, open } = watchedPages();
  const shots = process.env.PAGE_SHOTS ?? join(temporaryFolder(), 'shots');
  mkdirSync(shots, { recursive: true });

  beforeEach(() => fake.runs.clear());

  function show(options: StatusOptions = {}): void {
    fake.set(statusFixture(options));
  }

  async function sizeOf(page: Page): Promise<number> {
    return z.number().parse(await page.evaluate('document.querySelectorAll("*").length'));
  }

  it.each(VIEWS)('$name: quiet, self-contained, nothing overflows or overlaps', async (view) => {
    show();
    fake.set({ ...statusFixture({ run: 'pilot', round: 3, nowMs: Date.now() - 9e7 }), phase: 'finished' });
    await open(view, async (page) => {
      await untilText(page, '#connection', 'live');
      await untilText(page, '#replied', '11 of 14');
      await page.screenshot({ path: join(shots, `${view.name}.png`), fullPage: true });
      expect(await page.locator('svg.plot').count()).toBe(5);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width);
      expect(await page.evaluate(OVERLAPS)).toEqual([]);
      expect(await page.evaluate(SMALL)).toEqual([]);
    });
  });

  it('shows hostile names as they are', async () => {
    show({ names: [HOSTILE_NAME, LONG_NAME] });
    const status = statusFixture({ names: [HOSTILE_NAME, LONG_NAME] });
    const error = { at: Date.now(), code: HOSTILE_NAME, message: HOSTILE_NAME, group: HOSTILE_NAME };
    fake.set({ ...status, summary: `It waits for ${HOSTILE_NAME}.`, errors: [error] });
    await open({ width: 390 }, async (page) => {
      await untilText(page, '#summary', HOSTILE_NAME);
      expect(await page.locator('#awaited bdi').first().textContent()).toBe(HOSTILE_NAME);
      expect(await page.locator('#members bdi').first().textContent()).toBe(HOSTILE_NAME);
      expect(await page.locator('#errors').textContent()).toContain(HOSTILE_NAME);
      expect(await page.locator('img').count()).toBe(0);
      expect(await page.evaluate('globalThis.broken')).toBeUndefined();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    });
  });

  it('stays small with a thousand groups and rounds, and finds each of them', async () => {
    show({ groups: 1000, awaited: 1000, round: 800, rounds: 1000 });
    await open({}, async (page) => {
      await untilText(page, '#awaited-more', 'and 950 more');
      expect(await page.locator('#members-more').textContent()).toBe('and 950 more');
      expect(await page.locator('#awaited tr').count()).toBe(50);
      expect(await sizeOf(page)).toBeLessThan(2000);
      await page.getByLabel('Find a group').fill('0777');
      await untilText(page, '#awaited', 'Group 0777');
      expect(await page.locator('#awaited tr').count()).toBe(1);
      expect(await page.locator('#members li').count()).toBe(1);
    });
  });

  it('keeps a failure that names a thousand groups to a headline', async () => {
    const status = statusFixture({ groups: 1000, awaited: 0 });
    const failure = `round 12: 3 of 10 came in time; missing: ${status.members.map(({ group }) => group).join(', ')}`;
    fake.set({
      ...status,
      phase: 'failed',
      failure,
      summary: `The run failed: ${failure}`,
      deadlineAt: null,
    });
    await open({ width: 390 }, async (page) => {
      await untilText(page, '#phase', 'Failed, round 12 of 40');
      expect((await page.locator('#summary').textContent())?.length).toBeLessThan(200);
      await page.getByText('The whole sentence').click();
      expect(await page.locator('#summary-text').textContent()).toContain('Group 0995');
      expect(await page.locator('#failure').isVisible()).toBe(false);
    });
  });

  it('says what to do where there is no run, and shows the first one when it comes', async () => {
    await open({}, async (page) => {
      await untilText(page, 'h1 >> visible=true', 'No run yet.');
      const command = page.locator('pre');
      expect(await command.textContent()).toBe('pluralllm aggregator start configs/quickstart.yaml');
      expect(await page.locator('#to-admin').isVisible()).toBe(false);
      await page.screenshot({ path: join(shots, 'empty.png') });
      show();
      await untilText(page, '#replied', '11 of 14');
      expect(await command.isVisible()).toBe(false);
      expect(page.url()).toMatch(/#run=nonvoters-quickstart$/);
    });
  });

  it('is honest about a run that has not begun', async () => {
    const empty = { awaited: [], history: [], scores: [], errors: [], step: null, replied: 0, asked: 0 };
    const status = {
      ...statusFixture({ groups: 3, round: 1 }),
      ...empty,
      quorum: 10,
      round: 0,
      deadlineAt: null,
    };
    fake.set({ ...status, phase: 'waiting', summary: 'Waits for 10 groups; 3 have joined.' });
    await open({}, async (page) => {
      await untilText(page, '#phase', 'Waiting for groups, 40 rounds to come');
      await untilText(page, '#awaited-empty', 'The run begins when 10 groups have joined; 3 have.');
      expect(await page.locator('svg.plot').count()).toBe(0);
      expect(await page.locator('figure .nothing >> visible=true').count()).toBe(5);
      expect(await page.locator('#alignment').textContent()).toBe('–');
    });
  });

  it('tells the values of a round to pointer, keys and screen readers, and as a table', async () => {
    show();
    const { scores } = statusFixture();
    const text = (round: number) =>
      `round ${round}: mean ${scores[round]?.mean.toFixed(3)}, worst ${scores[round]?.worst?.toFixed(3)}`;
    await open({}, async (page) => {
      const plot = page.getByRole('slider', { name: 'Alignment by round' });
      await expect.poll(() => plot.getAttribute('aria-valuetext')).toBe(text(11));
      await plot.focus();
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowLeft');
      expect(await plot.getAttribute('aria-valuetext')).toBe(text(9));
      await page.keyboard.press('Home');
      expect(await plot.getAttribute('aria-valuetext')).toBe(text(0));
      expect(await page.locator('#scores-wide .legend .figure').first().textContent()).toBe('0.742');
      await page.keyboard.press('Tab');
      await plot.hover({ position: { x: 58, y: 60 } });
      expect(await page.locator('#scores-wide .legend .at').textContent()).toBe('round 0');
      await page.locator('#scores-wide summary').click();
      const rows = page.locator('#scores-wide tbody tr');
      expect(await rows.first().locator('th, td').allTextContents()).toEqual([
        '11',
        ...text(11).match(/0\.\d+/g)!,
      ]);
      expect(await rows.count()).toBe(12);
    });
  });

  it('is used by keys: the first way leads past the list of runs, and focus is seen', async () => {
    show();
    await open({}, async (page) => {
      await untilText(page, '#replied', '11 of 14');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('main');
      expect(page.url()).toMatch(/#run=nonvoters-quickstart$/);
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.id')).toBe('group-search');
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
    });
  });
});
