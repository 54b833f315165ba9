import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  List,
  Table,
  tableFromArrays,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Question } from '../../src/data/survey.ts';
import { arrowFeatures } from '../../src/features/arrow.ts';
import { computeFeatures } from '../../src/features/compute.ts';
import { featureOf } from '../../src/features/features.ts';
import { encodeVectors, readVectors } from '../../src/features/vector-file.ts';
import { featuresConformance } from '../conformance/features.ts';
import { tinyQuestions } from '../support/tiny-survey.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'pluralllm-arrow-'));
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

const QUESTIONS = tinyQuestions(4);

/** A vector file with a recognisable number in each cell: 100 question + 10 option + column, plus `shift`. */
function vectorsOf(questions: readonly Question[], shift = 0): Buffer {
  const width = 3;
  const keys = questions.flatMap((question, q) =>
    question.options.map((_, option) => ({ id: question.id, q, option })),
  );
  return Buffer.from(
    encodeVectors({
      ids: keys.map(({ id }) => id),
      options: Int32Array.from(keys, ({ option }) => option),
      width,
      values: Float32Array.from(
        keys.flatMap(({ q, option }) => [0, 1, 2].map((column) => 100 * q + 10 * option + column + shift)),
      ),
    }),
  );
}

function saved(name: string, bytes: Uint8Array, folder = FOLDER): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function arrow(
  path: string,
  questions: readonly Question[] = QUESTIONS,
  options: Record<string, unknown> = {},
) {
  return computeFeatures({
    provider: arrowFeatures,
    options: { path, ...options },
    questions,
    cacheFolder: null,
  });
}

// Rows of options as the suite removes and renames questions; rows that nobody needs do not matter.
featuresConformance({
  provider: arrowFeatures,
  questions: QUESTIONS,
  options: (folder) => ({ path: saved('a.arrow', vectorsOf(tinyQuestions(6)), folder) }),
  otherOptions: (folder) => ({ path: saved('b.arrow', vectorsOf(tinyQuestions(6), 0.5), folder) }),
});

describe('arrow features', () => {
  test('finds every vector, whatever the order of the rows', async () => {
    const path = saved('reversed.arrow', vectorsOf([...tinyQuestions(7)].reverse()));
    const features = await arrow(path);
    // Question 2 stands at place 4 of 0..6 in the reversed file.
    expect([...featureOf(features, 2, 1)]).toEqual([410, 411, 412]);
  });

  test('the digest is that of the content, not of the path', async () => {
    const bytes = vectorsOf(QUESTIONS);
    const [a, b] = [await arrow(saved('here.arrow', bytes)), await arrow(saved('there.arrow', bytes))];
    expect(a.digest).toBe(b.digest);
  });

  test('names the first missing vector, the count and how the file calls its questions', async () => {
    const path = saved('short.arrow', vectorsOf(QUESTIONS.slice(0, 2)));
    await expect(arrow(path)).rejects.toMatchObject({
      code: 'FEATURES_MISSING',
      message: expect.stringMatching(/"q2", option 0 \(9 of 15 are missing\)$/),
      hint: expect.stringContaining('"q0"'),
    });
  });

  test('names the first missing option of a question that the file has', async () => {
    const path = saved('options.arrow', vectorsOf([{ id: 'q0', text: '', options: ['a', 'b'] }]));
    await expect(arrow(path, QUESTIONS.slice(0, 1))).rejects.toMatchObject({
      code: 'FEATURES_MISSING',
      message: expect.stringMatching(/"q0", option 2 \(2 of 4/),
    });
  });

  test('a row given twice is refused', async () => {
    const path = saved('twice.arrow', vectorsOf([...QUESTIONS, QUESTIONS[1]!]));
    await expect(arrow(path)).rejects.toMatchObject({
      code: 'DATA_DUPLICATE',
      message: expect.stringContaining('q1'),
    });
  });

  test('a number that is not finite is refused with question, option and column', async () => {
    const path = saved('nan.arrow', vectorsOf(QUESTIONS, Number.NaN));
    await expect(arrow(path)).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(/feature 0 of question q0, option "Agree" is NaN/),
    });
  });

  test('a file that is not there says so', async () => {
    await expect(arrow(join(FOLDER, 'none.arrow'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  test('options without a path are refused', () => {
    expect(() => arrowFeatures.open({})).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('path') }),
    );
  });
});

describe('ids', () => {
  const embedding = vectorFromArray(
    [
      [1, 2],
      [3, 4],
    ],
    new FixedSizeList(2, new Field('item', new Float32())),
  );
  const option = vectorFromArray([0, 1], new Int32());
  const numbered = new Table({ qkey: vectorFromArray([17, 17], new Int32()), option, embedding });
  const path = () => saved('numbered.arrow', tableToIPC(numbered, 'file'));
  const question = { id: 'gas-17', text: '', options: ['Yes', 'No'] };

  test('integers match as text, with another column name and a prefix', async () => {
    const features = await arrow(path(), [question], { idColumn: 'qkey', prefix: 'gas-' });
    expect([...features.rows]).toEqual([1, 2, 3, 4]);
  });

  test('a wrong column name lists the columns', async () => {
    await expect(arrow(path(), [question])).rejects.toMatchObject({
      code: 'DATA_FORMAT',
      hint: expect.stringContaining('qkey, option, embedding'),
    });
  });

  test('positions count the questions of the survey', async () => {
    const first = new Table({ question_id: vectorFromArray([0, 0], new Int32()), option, embedding });
    const features = await arrow(saved('position.arrow', tableToIPC(first, 'file')), [question], {
      matchBy: 'position',
    });
    expect([...features.rows]).toEqual([1, 2, 3, 4]);
  });

  test('big and dictionary-encoded ids match too', async () => {
    const big = new Table({ question_id: vectorFromArray([17n, 17n]), option, embedding });
    const words = new Table({ question_id: vectorFromArray(['17', '17']), option, embedding });
    for (const [i, table] of [big, words].entries()) {
      const features = await arrow(saved(`ids${i}.arrow`, tableToIPC(table, 'file')), [
        { ...question, id: '17' },
      ]);
      expect([...features.rows]).toEqual([1, 2, 3, 4]);
    }
  });
});

describe('vector files', () => {
  const whole = vectorsOf(QUESTIONS);

  test('what is written is read back', () => {
    const vector = fc.array(fc.float({ noNaN: true }), { minLength: 2, maxLength: 2 });
    const row = fc.record({ id: fc.string(), option: fc.nat(20), vector });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), (rows) => {
        const table = {
          ids: rows.map(({ id }) => id),
          options: Int32Array.from(rows, ({ option }) => option),
          width: 2,
          values: Float32Array.from(rows.flatMap((each) => each.vector)),
        };
        expect(readVectors(Buffer.from(encodeVectors(table)), 'x')).toEqual(table);
      }),
    );
  });

  test('a file cut anywhere after its first six bytes is refused as cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 6, max: whole.length - 1 }), (length) => {
        expect(() => readVectors(whole.subarray(0, length), 'cut.arrow')).toThrowError(
          expect.objectContaining({ code: 'DATA_TRUNCATED', message: expect.stringContaining('cut.arrow') }),
        );
      }),
    );
  });

  test('another format is refused as such', () => {
    const refusal = expect.objectContaining({ code: 'DATA_FORMAT' });
    expect(() => readVectors(Buffer.from('question,option,x\n1,2,3\n'), 'a.csv')).toThrowError(refusal);
    expect(() =>
      readVectors(Buffer.from(tableToIPC(tableFromArrays({ a: [1] }), 'stream')), 'a.arrows'),
    ).toThrowError(refusal);
    expect(() =>
      readVectors(Buffer.from(tableToIPC(tableFromArrays({ a: [1] }), 'file')), 'a.arrow'),
    ).toThrowError(refusal);
  });

  const ids = vectorFromArray(['a', 'a'], new Utf8());
  const options = vectorFromArray([0, 1], new Int32());
  const file = (columns: Record<string, Vector>) => Buffer.from(tableToIPC(new Table(columns), 'file'));

  test('lists of variable length and of float64 are fine while all are equally long', () => {
    for (const type of [new Float32(), new Float64()]) {
      const embedding = vectorFromArray(
        [
          [1, 2],
          [3, 4],
        ],
        new List(new Field('item', type)),
      );
      const table = readVectors(file({ question_id: ids, option: options, embedding }), 'x');
      expect(table).toMatchObject({ width: 2, values: Float32Array.of(1, 2, 3, 4) });
    }
    const ragged = vectorFromArray([[1, 2], [3]], new List(new Field('item', new Float32())));
    expect(() =>
      readVectors(file({ question_id: ids, option: options, embedding: ragged }), 'x'),
    ).toThrowError(
      expect.objectContaining({ code: 'FEATURES_WIDTH', message: expect.stringContaining('row 1') }),
    );
  });

  test('columns of another type and empty cells are refused by name', () => {
    const embedding = vectorFromArray([[1], [2]], new List(new Field('item', new Float32())));
    const wrong = [
      { question_id: ids, option: ids, embedding },
      { question_id: embedding, option: options, embedding },
      { question_id: ids, option: options, embedding: options },
      { question_id: ids, option: vectorFromArray([0, null], new Int32()), embedding },
    ];
    const names = ['option', 'question_id', 'embedding', 'option'];
    for (const [i, columns] of wrong.entries()) {
      expect(() => readVectors(file(columns), 'x')).toThrowError(
        expect.objectContaining({ code: 'DATA_FORMAT', message: expect.stringContaining(`"${names[i]}"`) }),
      );
    }
  });
});

const DATA = process.env['PLURALLLM_DATA'];

describe.skipIf(!DATA)(`development data${DATA ? '' : ' (SKIPPED: set PLURALLLM_DATA)'}`, () => {
  test.each([
    ['nonvoters/features-118.arrow', 57, 118, 210],
    ['globalopinionqa/features-structure-lsa-144.arrow', 2554, 144, 11_290],
  ])('%s is read', (name, questionCount, width, rows) => {
    const path = join(DATA ?? '', name);
    const table = readVectors(readFileSync(path), path);
    expect(table.width).toBe(width);
    expect(table.ids).toHaveLength(rows);
    expect(new Set(table.ids).size).toBe(questionCount);
    expect(table.values.every(Number.isFinite)).toBe(true);
  });
});
