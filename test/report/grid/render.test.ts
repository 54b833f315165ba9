import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import type { GridRecords } from '../../../src/report/grid/records.ts';
import { renderGrid } from '../../../src/report/grid/render.ts';
import { summariseGrid } from '../../../src/report/grid/summary.ts';
import { gridTable } from '../../../src/report/grid/table.ts';
import { displayWidth } from '../../../src/report/table.ts';
import { gridFixture } from '../../support/grid-fixture.ts';

const page = (records: GridRecords) => renderGrid(records, summariseGrid(records));
const documentOf = (records: GridRecords) => parseHTML(page(records)).document;

/** "0.864 ± 0.004" of a setting's federated unseen mean, from its records. */
function federatedText({ settings }: GridRecords, setting: number): string {
  const values = settings[setting]!.runs.map(
    ({ record }) => record.methods.find(({ id }) => id === 'federated')!.summaries.unseen!.mean,
  );
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return `${mean.toFixed(3)} ± ${Math.sqrt(squares / (values.length - 1)).toFixed(3)}`;
}

describe('the page of a grid', () => {
  const records = gridFixture();

  it('is the same for the same records, and loads nothing', () => {
    expect(page(records)).toBe(page(gridFixture()));
    const document = documentOf(records);
    expect(document.querySelectorAll('script, link, img, iframe')).toHaveLength(0);
    expect(page(records)).not.toMatch(/(src|href)="(?!#)/);
  });

  it('names the best setting with its mean and spread, and says that it was chosen by them', () => {
    const document = documentOf(records);
    const title = document.querySelector('h1')?.textContent?.replaceAll('\u00a0', ' ');
    expect(title).toContain('predictor.name factor');
    expect(title).toContain(federatedText(records, 1));
    expect(document.querySelector('.masthead')?.textContent).toContain('which flatters it');
  });

  it('draws a band behind each trained line, none for one seed', () => {
    const bands = (own: GridRecords) => documentOf(own).querySelectorAll('g[aria-label="area"]').length;
    // In each of two drawings: two settings, then four trained methods for each of the two.
    expect(bands(records)).toBe(2 * (2 + 4 * 2));
    expect(bands(gridFixture({ seeds: [7] }))).toBe(0);
  });

  it('goes without comparisons of settings where there is one', () => {
    const document = documentOf(gridFixture({ lifts: [0] }));
    const captions = [...document.querySelectorAll('caption')].map(({ textContent }) => textContent ?? '');
    expect(captions.filter((caption) => caption.includes('each setting'))).toEqual([]);
    expect(document.querySelector('h1')?.textContent).toContain('does not beat');
    expect(document.body.textContent).not.toContain('The same under');
  });

  it('says what the seeds change', () => {
    expect(documentOf(records).body.textContent).toContain(
      'each seed draws its own training and unseen groups',
    );
    const fixed = { ...records, settings: records.settings.map((s) => ({ ...s, seedsDrawSplits: false })) };
    expect(documentOf(fixed).body.textContent).toContain('all seeds share one split');
  });

  it('shows a value as text, whatever it is', () => {
    const strange = gridFixture({ lastValue: '<script>alert(1)</script> & "x"' });
    const document = documentOf(strange);
    expect(document.querySelectorAll('script')).toHaveLength(0);
    expect(document.body.textContent).toContain('<script>alert(1)</script> & "x"');
  });

  it('lists every run', () => {
    const text = documentOf(records).body.textContent ?? '';
    for (const { folder } of summariseGrid(records).cells) expect(text).toContain(folder);
  });

  it('draws the best of more settings than lines can be told apart', () => {
    const many = gridFixture({ seeds: [7, 8], lifts: [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08] });
    expect(documentOf(many).body.textContent).toContain('Only the 7 best settings are drawn');
  });
});

describe('the table of a grid', () => {
  const records = gridFixture();
  const summary = summariseGrid(records);

  it('has a line for each setting and method with mean and spread', () => {
    const lines = gridTable(records, summary).split('\n');
    expect(lines.filter((line) => /^[12]: /.test(line))).toHaveLength(2 * 7);
    for (const setting of [0, 1]) {
      const line = lines.find((text) => text.startsWith(`${setting + 1}: `) && text.includes('Federated'));
      expect(line).toContain(federatedText(records, setting));
    }
  });

  it('leaves measures out where the terminal is too narrow, and says so', () => {
    const [table = '', notes] = gridTable(records, summary, 120).split('\n\n');
    for (const line of table.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(120);
    expect(table).not.toContain('upload/group');
    expect(notes).toContain('left out');
  });

  it('has no column of settings and no spread for one run', () => {
    const one = gridFixture({ seeds: [7], lifts: [0] });
    const text = gridTable(one, summariseGrid(one));
    expect(text).toMatch(/^method /);
    expect(text).toContain('one seed, 7');
    expect(text).not.toContain('±');
  });
});
