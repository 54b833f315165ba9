import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes } from '../../src/core/bytes.ts';
import { formatScore } from '../../src/report/format.ts';
import type { MethodRecord, RunRecord } from '../../src/report/record.ts';
import {
  comparisonMarkdown,
  comparisonTable,
  displayWidth,
  markdownTable,
  textTable,
} from '../../src/report/table.ts';
import { recordFixture } from '../support/record-fixture.ts';

const COLUMNS = [
  { title: 'name', align: 'left' },
  { title: 'figure', align: 'right' },
] as const;

describe('plain-text tables', () => {
  it('aligns words to the left and figures to the right', () => {
    expect(
      textTable(COLUMNS, [
        ['a', '1.5'],
        ['longer', '12.5'],
      ]),
    ).toBe(['name    figure', '──────  ──────', 'a          1.5', 'longer    12.5'].join('\n'));
  });

  it('counts wide scripts as two cells and a combined letter as one', () => {
    expect(displayWidth('日本')).toBe(4);
    expect(displayWidth('e\u0301')).toBe(1);
    expect(displayWidth('Kenya')).toBe(5);
  });

  it('keeps its lines and their width for any text', () => {
    const rows = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' })), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(rows, (cells) => {
        const lines = textTable(COLUMNS, cells).split('\n');
        expect(lines).toHaveLength(cells.length + 2);
        const rule = displayWidth(lines[1] ?? '');
        for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(rule);
      }),
    );
  });

  it('lets no cell break out of a Markdown table', () => {
    const table = markdownTable(COLUMNS, [
      ['a|b\nc', '<img src=x>'],
      ['*x*', '`y`'],
    ]);
    expect(table.split('\n').slice(2)).toEqual(['| a\\|b c | &lt;img src=x> |', '| \\*x\\* | \\`y\\` |']);
  });
});

const ORDER = ['Federated', 'as many steps', 'one step a round', 'Local', 'Uniform', 'Mean of', 'Similarity'];

function figures({ summaries }: MethodRecord): readonly string[] {
  const { unseen, training } = summaries;
  return [
    unseen?.mean,
    unseen?.worst,
    unseen?.coefficientOfVariation,
    unseen?.fairnessIndex,
    summaries['unseen-questions']?.mean,
    training?.mean,
  ].map(formatScore);
}

function methodLabelled(record: RunRecord, line: string): MethodRecord {
  const method = record.methods.find(({ label }) => line.includes(label));
  if (method === undefined) throw new Error(`no method in: ${line}`);
  return method;
}

describe.each(['text', 'markdown'])('comparison as %s', (kind) => {
  const record = recordFixture({ unseenQuestions: true });
  const print = kind === 'text' ? comparisonTable : comparisonMarkdown;
  const lines = print(record)
    .split('\n')
    .slice(2, 2 + record.methods.length);

  it('has a line per method in the fixed order', () => {
    ORDER.forEach((words, i) => {
      expect(lines[i]).toContain(words);
    });
  });

  it('shows every figure of the record', () => {
    for (const line of lines) {
      const method = methodLabelled(record, line);
      const shown = line
        .replace(method.label, '')
        .replaceAll('*', '')
        .match(/\d\.\d{3}|–/g);
      expect(shown).toEqual(figures(method));
      expect(line).toContain(method.sees);
    }
  });

  it('marks the best of each column and nothing else', () => {
    const mark = kind === 'text' ? /\*(\d\.\d{3})/g : /\*\*(\d\.\d{3})\*\*/g;
    const marked = lines.flatMap((line) => [...line.matchAll(mark)].map(([, figure]) => figure));
    const columns = record.methods.map(figures);
    const best = [0, 1, 2, 3, 4, 5].flatMap((column) => {
      const values = columns.map((row) => row[column] ?? '').filter((text) => text !== '–');
      const top = [...values].sort().at(column === 2 ? 0 : -1);
      return values.filter((text) => text === top);
    });
    expect(marked.sort()).toEqual(best.sort());
  });

  it('gives the bytes that one group uploads', () => {
    const perGroup = record.bytes.uploadTotal / record.split.trainingGroups.length;
    expect(lines[0]).toContain(formatBytes(perGroup));
  });

  it('prints notes and the best single local model', () => {
    const best = record.methods.find(({ id }) => id === 'local-only')?.best?.unseen?.mean;
    expect(print(record)).toContain(`the best single model scores ${formatScore(best)}`);
    for (const { note } of record.methods) if (note !== undefined) expect(print(record)).toContain(note);
  });
});

describe('comparison table', () => {
  it('leaves out the column of new questions where no method has it', () => {
    expect(comparisonTable(recordFixture())).not.toContain('new questions');
    expect(comparisonTable(recordFixture({ unseenQuestions: true }))).toContain('new questions');
  });

  it('goes without the column of what the methods see where the terminal is too narrow, and says so', () => {
    const record = recordFixture();
    const full = comparisonTable(record);
    const width = Math.max(...full.split('\n').slice(0, 2).map(displayWidth));
    expect(comparisonTable(record, width)).toBe(full);
    const [narrow = '', notes] = comparisonTable(record, width - 1).split('\n\n');
    expect(notes).toContain('"sees" is left out');
    expect(narrow).toMatch(/^method .*upload\/group$/m);
    expect(narrow).not.toContain('sums of protected updates');
    expect(narrow.split('\n')).toHaveLength(record.methods.length + 2);
    for (const line of narrow.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(100);
  });

  it('marks nothing where all methods are equal', () => {
    const record = recordFixture();
    const [first] = record.methods;
    const methods = record.methods.map((method) => ({ ...method, summaries: first?.summaries ?? {} }));
    expect(comparisonTable({ ...record, methods })).not.toMatch(/\*\d/);
  });
});
