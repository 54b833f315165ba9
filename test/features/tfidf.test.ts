import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SparseMatrix } from '../../src/features/lexical/sparse.ts';
import { multiply, multiplyTransposed, sparseFrom } from '../../src/features/lexical/sparse.ts';
import { tfidf } from '../../src/features/lexical/tfidf.ts';

function dense({ rowCount, columnCount, rowStarts, columns, values }: SparseMatrix): number[][] {
  return Array.from({ length: rowCount }, (_, row) => {
    const line = Array<number>(columnCount).fill(0);
    for (let i = rowStarts[row]!; i < rowStarts[row + 1]!; i++) line[columns[i]!]! += values[i]!;
    return line;
  });
}

test('weights by hand: "red" in two of three texts, once twice; "sky" and "red sky" in two', () => {
  const matrix = tfidf(['red red sky', 'red sky', 'grass']);
  // Kept, in code-unit order: "red" (df 2), "red sky" (df 2), "sky" (df 2). All have idf log(4 / 3) + 1.
  const [first, second, third] = dense(matrix);
  const tf = 1 + Math.log(2);
  const length = Math.sqrt(tf * tf + 2);
  expect(first!.map((value) => value * length)).toEqual([tf, 1, 1].map((value) => expect.closeTo(value, 12)));
  expect(second).toEqual([1, 1, 1].map((value) => expect.closeTo(value / Math.sqrt(3), 12)));
  expect(third).toEqual([0, 0, 0]);
});

test('a rarer term weighs more', () => {
  const [first] = dense(tfidf(['common rare', 'common rare', 'common', 'common']));
  // Columns: "common" (df 4), "common rare" (df 2), "rare" (df 2).
  expect(first![2]! / first![0]!).toBeCloseTo((Math.log(5 / 3) + 1) / (Math.log(5 / 5) + 1), 12);
});

test('no text, no matrix', () => {
  expect(tfidf([])).toMatchObject({ rowCount: 0, columnCount: 0 });
  expect(tfidf(['alone'])).toMatchObject({ rowCount: 1, columnCount: 0 });
});

test('sparse products equal dense ones', () => {
  const entry = fc.tuple(fc.nat(4), fc.integer({ min: -9, max: 9 }));
  const rows = fc.array(fc.uniqueArray(entry, { selector: ([column]) => column }), { maxLength: 6 });
  fc.assert(
    fc.property(
      rows,
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 6, maxLength: 6 }),
      (cells, x) => {
        const matrix = sparseFrom(cells, 5);
        const full = dense(matrix);
        const product = full.map((line) => line.reduce((sum, value, i) => sum + value * x[i]!, 0));
        expect([...multiply(matrix, Float64Array.from(x))].map((v) => v + 0)).toEqual(
          product.map((v) => v + 0),
        );
        const transposed = [0, 1, 2, 3, 4].map((c) =>
          full.reduce((sum, line, row) => sum + line[c]! * x[row]!, 0),
        );
        expect([...multiplyTransposed(matrix, Float64Array.from(x))].map((v) => v + 0)).toEqual(
          transposed.map((v) => v + 0),
        );
      },
    ),
  );
});
