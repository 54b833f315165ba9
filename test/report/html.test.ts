import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { formatBytes } from '../../src/core/bytes.ts';
import { formatScore, formatSeconds } from '../../src/report/format.ts';
import { renderReport } from '../../src/report/html.ts';
import type { RunRecord } from '../../src/report/record.ts';
import { recordFixture } from '../support/record-fixture.ts';

type Parsed = ReturnType<typeof parseHTML>['document'];
const parse = (page: string): Parsed => parseHTML(page).document;

const record = recordFixture({ unseenQuestions: true });
const page = renderReport(record);
const document = parse(page);

/** Cells of the table with this caption, row by row, without the marks of the best figures. */
function cellsOf(source: Parsed, caption: string): readonly (readonly string[])[] {
  const table = [...source.querySelectorAll('table')].find((candidate) =>
    candidate.querySelector('caption')?.textContent.includes(caption),
  );
  if (table === undefined) throw new Error(`no table "${caption}"`);
  return [...table.querySelectorAll('tbody tr')].map((row) =>
    [...row.querySelectorAll('th, td')].map((cell) => {
      for (const extra of cell.querySelectorAll('small, .dot, .hidden')) extra.remove();
      return cell.textContent.trim();
    }),
  );
}

const inOrder = [
  'federated',
  'centralised',
  'centralised-round-matched',
  'local-only',
  'uniform',
  'group-mean',
  'similarity-mean',
].map((id) => {
  const method = record.methods.find((candidate) => candidate.id === id);
  if (method === undefined) throw new Error(`the fixture lacks ${id}`);
  return method;
});

describe('figures of the page', () => {
  it('compares the methods with the figures of the record', () => {
    const rows = cellsOf(parse(page), 'Alignment scores by method');
    const expected = inOrder.flatMap(({ label, summaries, best }) =>
      [
        { name: label, from: summaries },
        ...(best === undefined ? [] : [{ name: 'Best single local model', from: best }]),
      ].map(({ name, from }) => [
        name,
        ...[
          from.unseen?.mean,
          from.unseen?.worst,
          from.unseen?.coefficientOfVariation,
          from.unseen?.fairnessIndex,
          from['unseen-questions']?.mean,
          from.training?.mean,
        ].map(formatScore),
      ]),
    );
    expect(rows.map((row) => row.slice(0, -1))).toEqual(expected);
  });

  it.each([
    ['Fairness over the unseen groups', 'unseen'],
    ['Fairness over the training groups', 'training'],
    ['Fairness over the unseen groups, new questions', 'unseen-questions'],
  ] as const)('%s', (caption, split) => {
    const expected = inOrder.flatMap(({ label, summaries }) => {
      const summary = summaries[split];
      if (summary === undefined) return [];
      const { mean, worst, coefficientOfVariation, fairnessIndex, questionFairness, calibrationError } =
        summary;
      return [
        [
          label,
          ...[mean, worst, coefficientOfVariation, fairnessIndex, questionFairness, calibrationError!].map(
            formatScore,
          ),
        ],
      ];
    });
    expect(cellsOf(parse(page), caption)).toEqual(expected);
  });

  it('shows convergence, bytes and time', () => {
    const federated = record.methods.find(({ id }) => id === 'federated')?.convergence;
    expect(cellsOf(document, 'smoothed loss')[0]?.slice(1)).toEqual([
      String(federated?.round),
      String(federated?.step),
      formatBytes(federated?.uploadedBytes ?? Number.NaN),
    ]);
    const { bytes } = record;
    expect(cellsOf(document, 'Bytes sent')).toEqual([
      [
        'one group, one round',
        formatBytes(bytes.uploadPerGroupPerRound),
        formatBytes(bytes.downloadPerGroupPerRound),
      ],
      ['all groups, whole run', formatBytes(bytes.uploadTotal), formatBytes(bytes.downloadTotal)],
      ['bytes per parameter', bytes.uploadPerParameter.toFixed(2), '–'],
    ]);
    const phases = [...record.phases].sort((a, b) => b.seconds - a.seconds);
    expect(cellsOf(document, 'Wall-clock').map(([name, time]) => [name, time])).toEqual(
      phases.map(({ name, seconds }) => [name, formatSeconds(seconds)]),
    );
  });

  it('lists every point of every curve behind its plot', () => {
    const rows = cellsOf(document, 'Unseen groups, alignment score by round');
    const trained = inOrder.filter(({ curve }) => curve.length > 0);
    expect(rows).toEqual(
      Array.from({ length: record.rounds + 1 }, (_, round) => [
        String(round),
        ...trained.map(({ curve }) => formatScore(curve[round]?.summaries.unseen?.mean)),
      ]),
    );
  });

  it('draws a bar per group, best first, with its score', () => {
    const chart = [...document.querySelectorAll('[role=img]')].find((figure) =>
      figure
        .getAttribute('aria-label')
        ?.startsWith('Bar chart, alignment score of each of the training groups'),
    );
    const scores = inOrder[0]?.scores.filter(({ split }) => split === 'training') ?? [];
    const sorted = [...scores].sort((a, b) => b.alignment - a.alignment);
    const titles = [...(chart?.querySelectorAll('rect title') ?? [])].map(({ textContent }) => textContent);
    expect(titles).toEqual(
      sorted.map(({ group, alignment }) => `${group} – Federated: ${formatScore(alignment)}`),
    );
  });

  it('names provenance, versions and digests, and holds the configuration', () => {
    const { survey, environment } = record;
    const text = document.body.textContent;
    const wanted = [
      ...Object.values(survey.provenance),
      ...[
        environment.version,
        environment.commit ?? '',
        environment.node,
        environment.onnxruntime,
        environment.cpu,
      ],
      ...[record.configDigest, record.modelDigest, record.features.digest],
      ...record.split.trainingGroups,
      ...record.split.unseenGroups,
    ];
    for (const words of wanted) expect(text).toContain(words);
    expect(document.querySelector('details pre')?.textContent).toBe(record.configYaml);
  });
});

describe('what the page says', () => {
  it('says in the headline that a predictor behind the group mean has not earned its cost', () => {
    expect(document.querySelector('h1')?.textContent).toContain('has not earned its cost');
    const winner = parse(renderReport(recordFixture({ lift: 0.05 })));
    expect(winner.querySelector('h1')?.textContent).toContain('beats');
  });

  it('says plainly what the aggregator saw', () => {
    expect(document.querySelector('.callout')?.textContent).toContain('sums only');
    const rows = parse(renderReport(recordFixture({ reveals: 'rows' })));
    expect(rows.querySelector('.callout')?.textContent).toContain('the update of every group in clear');
  });

  it('lists what the import repaired or left out, as text, and is silent where that is nothing', () => {
    const warnings = ['3 question(s) without text dropped; first: row 7', 'option <b>"yes"</b> & more'];
    const warned = parse(renderReport({ ...record, warnings }));
    const items = [...warned.querySelectorAll('ul.warnings li')].map(({ textContent }) => textContent);
    expect(items).toEqual(warnings);
    expect(document.querySelector('ul.warnings')).toBeNull();
    expect(document.body.textContent).not.toContain('Repaired or left out');
  });

  it('says at every plot of the training groups that they trained on the questions', () => {
    const captions = [...document.querySelectorAll('figcaption')].map(({ textContent }) => textContent);
    const ofTraining = captions.filter((caption) => caption.startsWith('Training groups'));
    expect(ofTraining).toHaveLength(2);
    for (const caption of ofTraining) expect(caption).toContain('answers they trained on');
    const others = captions.filter((caption) => !caption.startsWith('Training groups'));
    for (const caption of others) expect(caption).not.toContain('answers they trained on');
  });

  it('compares unseen groups with the group mean, and training groups with nothing', () => {
    const figuresOf = (split: string) =>
      [...document.querySelectorAll('[role=img]')].filter((chart) =>
        chart.getAttribute('aria-label')?.startsWith(`Bar chart, alignment score of each of the ${split}`),
      );
    const difference = /0\.\d{3}\s+[+−-]0\.\d{3}/;
    expect(figuresOf('unseen groups.')[0]?.textContent).toMatch(difference);
    expect(figuresOf('training groups.')).not.toEqual([]);
    for (const chart of figuresOf('training groups.')) expect(chart.textContent).not.toMatch(difference);
  });

  it('renders a run without unseen groups, curves, phases or a federated method', () => {
    const bare: RunRecord = {
      ...record,
      split: { trainingGroups: [], unseenGroups: [], heldOutQuestions: 0 },
      methods: record.methods
        .filter(({ kind }) => kind === 'baseline')
        .map((method) => ({ ...method, scores: [], summaries: {} })),
      phases: [],
    };
    const text = parse(renderReport(bare)).body.textContent;
    expect(text).toContain('no federated predictor');
    expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
  });
});

/** Everything that can load or run something. */
const ACTIVE =
  'script, link, iframe, object, embed, img, image, audio, video, source, base, form, foreignObject, use';

describe('self-contained', () => {
  it('holds no element that loads or runs anything, and refers to itself only', () => {
    expect([...document.querySelectorAll(ACTIVE)]).toEqual([]);
    for (const element of document.querySelectorAll('*')) {
      for (const { name, value } of [...element.attributes]) {
        expect(name).not.toMatch(/^on|^src|^xlink/);
        if (name === 'href') expect(value).toMatch(/^#/);
        else expect(value).not.toMatch(/url\(|javascript:/i);
      }
    }
  });

  it('has a style sheet without addresses and a policy that allows nothing else', () => {
    const styles = [...document.querySelectorAll('style')];
    expect(styles).toHaveLength(1);
    expect(styles[0]?.textContent).not.toMatch(/url\(|@import|@font-face|https?:/i);
    expect(document.querySelector('meta[http-equiv]')?.getAttribute('content')).toContain(
      "default-src 'none'",
    );
  });
});

describe('accessible', () => {
  it('has landmarks, one h1, and sections that their headings name', () => {
    for (const landmark of ['header', 'nav', 'main', 'footer', 'h1']) {
      expect(document.querySelectorAll(landmark), landmark).toHaveLength(1);
    }
    for (const section of document.querySelectorAll('section')) {
      expect(section.querySelector('h2')?.id).toBe(section.getAttribute('aria-labelledby'));
    }
  });

  it('has unique ids, and links that lead to them', () => {
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const link of document.querySelectorAll('a'))
      expect(ids).toContain(link.getAttribute('href')?.slice(1));
  });

  it('captions tables, scopes their headings and describes drawings', () => {
    for (const table of document.querySelectorAll('table')) {
      expect(table.querySelector('caption')?.textContent).toMatch(/\w/);
      for (const heading of table.querySelectorAll('th'))
        expect(heading.getAttribute('scope')).toMatch(/^(row|col)$/);
    }
    for (const drawing of document.querySelectorAll('svg')) {
      const described = drawing.closest('[role=img]')?.getAttribute('aria-label') ?? '';
      expect(drawing.getAttribute('aria-hidden') === 'true' || described.length > 20).toBe(true);
    }
  });
});

/** The record with every text from outside replaced. */
function withText(text: string): RunRecord {
  const filled = `x${text}`;
  const base = recordFixture({ rounds: 2 });
  const names = new Map(
    base.methods.flatMap(({ scores }) => scores).map(({ group }, i) => [group, `${i}${text}`]),
  );
  const renamed = (group: string): string => names.get(group) ?? filled;
  const methods = base.methods.map((method) => ({
    ...method,
    // One method that the report does not know, so that its label reaches legends and plots.
    id: method.id === 'similarity-mean' ? filled : method.id,
    label: filled,
    sees: filled,
    note: filled,
    scores: method.scores.map((score) => ({ ...score, group: renamed(score.group) })),
  }));
  const { environment, survey, features, predictor, protection, split, phases } = base;
  return {
    ...base,
    name: filled,
    configYaml: filled,
    configDigest: filled,
    modelDigest: filled,
    strategy: filled,
    survey: {
      ...survey,
      name: filled,
      provenance: { source: filled, licence: filled, attribution: filled },
    },
    split: {
      ...split,
      trainingGroups: split.trainingGroups.map(renamed),
      unseenGroups: split.unseenGroups.map(renamed),
    },
    features: { ...features, provider: filled, digest: filled },
    predictor: { ...predictor, name: filled },
    protection: { ...protection, name: filled },
    methods,
    phases: phases.map((phase) => ({ ...phase, name: filled })),
    environment: { ...environment, ...textMembers(environment, filled) },
  };
}

function textMembers(environment: RunRecord['environment'], text: string): Partial<RunRecord['environment']> {
  const texts = Object.entries(environment).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(texts.map(([name]) => [name, text]));
}

/** Tags and attribute names in order: what a browser would build, without the text. */
function skeleton(source: string): readonly string[] {
  return [...parse(source).querySelectorAll('*')].map(
    (element) => `${element.localName} ${[...element.attributes].map(({ name }) => name).join(' ')}`,
  );
}

const HOSTILE = [
  '<script>alert(1)</script>',
  '</style><script>alert(1)</script>',
  '</title><img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '</pre></details><iframe srcdoc="x">',
  '&lt;script&gt;&quot;&#x3c;',
  ']]><!-- -->',
  '\u0000\u001b[2J\u202e\ud800',
  'javascript:alert(1)',
];

describe('hostile text', () => {
  const harmless = skeleton(renderReport(withText('y')));

  it.each(HOSTILE)('changes no element: %j', (text) => {
    expect(skeleton(renderReport(withText(text)))).toEqual(harmless);
  });

  it('is shown as it was written', () => {
    const shown = parse(renderReport(withText(HOSTILE[0] ?? '')));
    expect(shown.querySelector('details pre')?.textContent).toBe(`x${HOSTILE[0]}`);
    expect(shown.querySelector('title')?.textContent).toContain(HOSTILE[0]);
  });

  it('is shown as it was written inside plots too', () => {
    const shown = parse(renderReport(withText('&lt;b&gt;<i>&amp;')));
    const labels = [...shown.querySelectorAll('svg text')].map(({ textContent }) => textContent);
    expect(labels.filter((label) => label.endsWith('&lt;b&gt;<i>&amp;')).length).toBeGreaterThan(0);
    const titles = [...shown.querySelectorAll('svg rect title')].map(({ textContent }) => textContent);
    for (const title of titles) expect(title).toContain('&lt;b&gt;<i>&amp;');
  });

  it('changes no element, whatever it is', () => {
    const pieces = fc.constantFrom(
      '<',
      '>',
      '"',
      "'",
      '&',
      '/',
      '--',
      '<svg',
      ' onload=',
      '</script>',
      '\n',
      '=',
    );
    const text = fc.array(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 6 })), { maxLength: 8 });
    fc.assert(
      fc.property(text, (parts) => {
        expect(skeleton(renderReport(withText(parts.join(''))))).toEqual(harmless);
      }),
      { numRuns: 20 },
    );
  });
});

describe('determinism', () => {
  it('gives the same bytes for the same record, whatever was rendered in between', () => {
    renderReport(recordFixture({ seed: 3 }));
    expect(renderReport(recordFixture({ unseenQuestions: true }))).toBe(page);
    expect(renderReport(recordFixture({ unseenQuestions: true, seed: 8 }))).not.toBe(page);
  });

  it('gives the same bytes in a process of its own, which then ends by itself', () => {
    const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
import { renderReport } from ${url('../../src/report/html.ts')};
import { recordFixture } from ${url('../support/record-fixture.ts')};
const page = renderReport(recordFixture({ unseenQuestions: true }));
console.log(JSON.stringify({ page }));`;
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      timeout: 100_000,
    });
    expect(z.object({ page: z.string() }).parse(JSON.parse(output)).page).toBe(page);
  });
});
