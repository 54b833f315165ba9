import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { makeFolder } from '../../src/core/files.ts';
import { writeReport } from '../../src/report/write.ts';
import { CHROMIUM_FLAGS, findChromium } from '../support/chromium.ts';
import { recordFixture } from '../support/record-fixture.ts';

const executablePath = findChromium();
const why = executablePath === undefined ? ' (SKIPPED: no Chromium on PATH and none at CHROME_PATH)' : '';

const boxesSchema = z.array(z.object({ width: z.number(), height: z.number() }));

/** Sizes of the plots that this width of the page shows. */
const VISIBLE_PLOTS = `[...document.querySelectorAll('svg.plot')]
  .filter((svg) => svg.checkVisibility())
  .map((svg) => ({ width: svg.getBoundingClientRect().width, height: svg.getBoundingClientRect().height }))`;

/** Pairs of texts in one visible plot whose boxes overlap by more than a pixel each way. */
const OVERLAPS = `[...document.querySelectorAll('svg.plot')].filter((svg) => svg.checkVisibility()).flatMap((svg) => {
  const texts = [...svg.querySelectorAll('text')].map((node) => [node.textContent, node.getBoundingClientRect()]);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  return texts.flatMap(([name, box], i) => texts.slice(i + 1).filter(([, other]) => meet(box, other))
    .map(([other]) => name + ' | ' + other));
})`;

const VIEWS = [
  { name: 'wide-light', width: 1280, colorScheme: 'light' },
  { name: 'wide-dark', width: 1280, colorScheme: 'dark' },
  { name: 'tablet-light', width: 800, colorScheme: 'light' },
  { name: 'phone-light', width: 390, colorScheme: 'light' },
  { name: 'phone-dark', width: 390, colorScheme: 'dark' },
] as const;

describe.skipIf(executablePath === undefined)(`report in a browser${why}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-report-'));
  const shots = process.env.REPORT_SHOTS ?? join(folder, 'shots');
  let browser: Browser;
  let address: string;

  beforeAll(async () => {
    makeFolder(shots);
    address = pathToFileURL(await writeReport(folder, recordFixture({ unseenQuestions: true }))).href;
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: CHROMIUM_FLAGS });
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(
    options: { width: number; colorScheme: 'light' | 'dark' },
    look: (page: Page) => Promise<void>,
  ) {
    const context = await browser.newContext({
      viewport: { width: options.width, height: 900 },
      colorScheme: options.colorScheme,
      offline: true,
    });
    const requests: string[] = [];
    const complaints: string[] = [];
    const page = await context.newPage();
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(address);
    await look(page);
    await context.close();
    expect(requests).toEqual([address]);
    expect(complaints).toEqual([]);
  }

  it.each(VIEWS)('$name: quiet, self-contained, nothing overflows or overlaps', async (view) => {
    await open(view, async (page) => {
      await page.screenshot({ path: join(shots, `${view.name}.png`), fullPage: true });
      const plots = boxesSchema.parse(await page.evaluate(VISIBLE_PLOTS));
      // Three bar charts and three line charts, and the training loss.
      expect(plots).toHaveLength(7);
      for (const { width, height } of plots) {
        expect(width).toBeGreaterThan(250);
        expect(height).toBeGreaterThan(150);
      }
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width);
      expect(await page.evaluate(OVERLAPS)).toEqual([]);
    });
  });

  it('prints to a document of several pages', async () => {
    await open({ width: 1280, colorScheme: 'dark' }, async (page) => {
      const pdf = await page.pdf({ path: join(shots, 'print.pdf'), format: 'A4', preferCSSPageSize: true });
      expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
      await page.emulateMedia({ media: 'print' });
      // Light paper even for a reader who prefers dark screens.
      const ink = await page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')");
      await page.emulateMedia({ media: 'screen', colorScheme: 'light' });
      expect(ink).toBe(
        await page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')"),
      );
    });
  });
});
