import { beforeEach, describe, expect, it } from 'vitest';
import { digestLike, statusFixture } from '../support/status-fixture.ts';
import { noBrowser, untilText, watchedPages, why } from '../support/watched-page.ts';

const RUN = 'nonvoters-quickstart';
/** What Chromium says of a stream that breaks, is refused, or of a server that is away. */
const BROKEN = /Failed to load resource/;

describe.skipIf(noBrowser)(`status page, live${why}`, () => {
  const { fake, origin, open } = watchedPages();

  beforeEach(() => {
    fake.streamsRefused = false;
    fake.runs.clear();
    fake.set(statusFixture());
  });

  it('shows what happens without being loaded again, and leaves the reader alone', async () => {
    await open({}, async (page) => {
      await untilText(page, '#connection', 'live');
      await untilText(page, '#replied', '11 of 14');
      await page.evaluate(
        'globalThis.sameDocument = true; globalThis.firstRow = document.querySelector("#awaited tr")',
      );
      await page.getByLabel('Find a group').fill('White');
      fake.set(statusFixture({ awaited: 1 }));
      fake.push('received', { round: 12, step: 0, group: 'x', replied: 13, asked: 14 });
      await untilText(page, '#replied', '13 of 14');
      expect(await page.locator('#awaited tr').count()).toBe(1);
      expect(await page.evaluate('globalThis.sameDocument')).toBe(true);
      expect(await page.evaluate('globalThis.firstRow === document.querySelector("#awaited tr")')).toBe(true);
      expect(await page.evaluate('document.activeElement.value')).toBe('White');
      fake.set(statusFixture({ round: 13 }));
      fake.push('published', { round: 12, model: 'x', updates: 14 });
      await untilText(page, '#phase', 'Collecting updates, round 13 of 40');
      expect(await page.locator('#phase').getAttribute('aria-live')).toBe('polite');
      expect(await page.locator('#models tr').first().textContent()).toContain(
        statusFixture({ round: 13 }).history[12]?.model,
      );
      expect(await page.title()).toContain('round 13 of 40');
    });
  });

  it('asks at most once a second, however many events come', async () => {
    await open({}, async (page) => {
      await untilText(page, '#connection', 'live');
      await untilText(page, '#replied', '11 of 14');
      const [before, beganAt] = [fake.count(`/v1/runs/${RUN}`), Date.now()];
      for (let i = 0; i < 200; i++) fake.push('joined', { group: `g${i}` });
      fake.set(statusFixture({ awaited: 1 }));
      fake.push('joined', { group: 'last' });
      await untilText(page, '#replied', '13 of 14');
      const seconds = (Date.now() - beganAt) / 1000;
      expect(fake.count(`/v1/runs/${RUN}`) - before).toBeLessThanOrEqual(2 + seconds);
    });
  });

  it('says that the stream is down, asks by the clock, and is live again afterwards', async () => {
    await open({ expected: BROKEN }, async (page) => {
      await untilText(page, '#connection', 'live');
      fake.streamsRefused = true;
      fake.dropStreams();
      await untilText(page, '#connection', 'reconnecting, asking every 5\u00a0s');
      // The first of these may be owed to what happened before the break.
      const [status, stream] = [`/v1/runs/${RUN}`, `/v1/runs/${RUN}/events`];
      const [asked, opened] = [fake.count(status), fake.count(stream)];
      await expect.poll(() => fake.count(status), { timeout: 30_000 }).toBeGreaterThanOrEqual(asked + 2);
      await expect.poll(() => fake.count(stream), { timeout: 30_000 }).toBeGreaterThanOrEqual(opened + 2);
      fake.set(statusFixture({ awaited: 2 }));
      await untilText(page, '#replied', '12 of 14');
      expect(fake.streams).toBe(0);
      fake.streamsRefused = false;
      await untilText(page, '#connection', /^live$/);
      fake.set(statusFixture({ awaited: 1 }));
      fake.push('received', { round: 12, step: 0, group: 'x', replied: 13, asked: 14 });
      await untilText(page, '#replied', '13 of 14');
    });
  });

  it('changes to another run by its link, and opens the run that the address names', async () => {
    const older = { ...statusFixture({ run: 'older', round: 3, rounds: 20, nowMs: Date.now() - 9e7 }) };
    fake.set({ ...older, phase: 'finished', awaited: [], deadlineAt: null });
    await open({}, async (page) => {
      await untilText(page, '#run-name', RUN);
      await page.getByRole('link', { name: 'older' }).click();
      await untilText(page, '#phase', 'Finished, round 3 of 20');
      expect(page.url()).toMatch(/#run=older$/);
      expect(await page.getByRole('link', { name: 'older' }).getAttribute('aria-current')).toBe('page');
      await expect.poll(() => fake.streams).toBe(1);
    });
    await open({ address: '/#run=older' }, (page) => untilText(page, '#run-name', 'older'));
  });

  it('shows who keeps the stages of a sharded run, and who takes over, and nothing of it in other runs', async () => {
    const [kept, stood] = [digestLike('keeper'), digestLike('standby')];
    const keepers = (keeping: string) =>
      [kept, stood].map((publicKey, index) => ({
        ...{ publicKey, stage: 1, keeps: publicKey === keeping },
        lastSeenAt: index === 0 ? Date.now() - 65_000 : null,
      }));
    await open({ width: 400 }, async (page) => {
      await untilText(page, '#replied', '11 of 14');
      expect(await page.locator('#keepers-part').isVisible()).toBe(false);
      fake.set({ ...statusFixture(), keepers: keepers(kept) });
      fake.push('joined', { group: 'x' });
      await untilText(page, '#keepers', /1keeps it.*1stands by.*not seen yet/);
      fake.set({ ...statusFixture(), keepers: keepers(stood) });
      fake.push('joined', { group: 'y' });
      await untilText(page, '#keepers', /1stands by.*1keeps it/);
      expect(await page.locator('#keepers .digest').first().getAttribute('title')).toBe(kept);
      // On a narrow screen nothing sticks out.
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400);
    });
  });

  it('says so where the address names a run that is not there', async () => {
    await open({ address: '/#run=gone', expected: BROKEN }, async (page) => {
      await untilText(page, '#nothing-title', 'This aggregator has no run “gone”.');
      await page.getByRole('link', { name: RUN }).click();
      await untilText(page, '#replied', '11 of 14');
    });
  });

  it('keeps what it knows while the aggregator is away, with the time it is from', async () => {
    await open({ expected: BROKEN }, async (page) => {
      await untilText(page, '#connection', 'live');
      await untilText(page, '#replied', '11 of 14');
      await fake.close();
      await untilText(
        page,
        '#stale',
        /^No news: .*AGGREGATOR_UNREACHABLE.*What you see is from \d\d:\d\d:\d\d;/,
      );
      expect(await page.locator('#replied').textContent()).toBe('11 of 14');
      fake.set(statusFixture({ awaited: 2 }));
      await fake.listen(Number(new URL(origin()).port));
      await untilText(page, '#replied', '12 of 14');
      await untilText(page, '#connection', /^live$/);
      expect(await page.locator('#stale').isVisible()).toBe(false);
    });
  });
});
