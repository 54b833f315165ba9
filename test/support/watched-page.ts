import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { CHROMIUM_FLAGS, findChromium } from './chromium.ts';
import { FakeAggregator } from './fake-aggregator.ts';

const executablePath = findChromium();

/** Whether there is no browser to look with. */
export const noBrowser = executablePath === undefined;
/** What the name of a suite says then. */
export const why = noBrowser ? ' (SKIPPED: no Chromium on PATH and none at CHROME_PATH)' : '';

export interface ViewOptions {
  readonly width?: number;
  readonly colorScheme?: 'light' | 'dark';
  /** What follows the origin. */
  readonly address?: string;
  /** Answers of the network that the test provokes, as the browser's console words them. */
  readonly expected?: RegExp;
}

type Look = (page: Page) => Promise<void>;

/** A fake aggregator and a browser for the tests of one file; `open` shows the status page to a function. */
export function watchedPages(): {
  readonly fake: FakeAggregator;
  readonly origin: () => string;
  readonly open: (options: ViewOptions, look: Look) => Promise<void>;
} {
  const fake = new FakeAggregator();
  let browser: Browser;
  let origin = '';
  beforeAll(async () => {
    origin = await fake.listen();
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: CHROMIUM_FLAGS });
  });
  afterAll(async () => {
    await browser?.close();
    await fake.close();
  });
  return { fake, origin: () => origin, open: (options, look) => openPage(browser, origin, options, look) };
}

/** Fails on whatever the browser complains of, and on a request to anywhere but the aggregator. */
async function openPage(browser: Browser, origin: string, options: ViewOptions, look: Look): Promise<void> {
  const { width = 1280, colorScheme = 'light', address = '/', expected } = options;
  const viewport = { width, height: 900 };
  const context = await browser.newContext({
    viewport,
    colorScheme,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const foreign: string[] = [];
  const complaints: string[] = [];
  const page = await context.newPage();
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) foreign.push(request.url());
  });
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  try {
    await page.goto(origin + address);
    await look(page);
  } finally {
    await context.close();
  }
  expect(foreign).toEqual([]);
  expect(complaints.filter((text) => expected === undefined || !expected.test(text))).toEqual([]);
}

/** Waits until an element has a text. */
export async function untilText(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await expect.poll(() => page.locator(selector).textContent(), { timeout: 30_000 }).toMatch(text);
}
