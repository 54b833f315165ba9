import { expect, test } from 'vitest';
import { inParts } from '../../src/privacy/in-parts.ts';
import { mask } from '../../src/privacy/mask.ts';
import { countingRows } from '../../src/strategy/counted-rows.ts';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { makeUpdate } from '../../src/training/make-update.ts';
import { makeModel } from '../../src/wire/model.ts';
import { Parts } from '../../src/wire/parts.ts';
import { contextOf, playRound, SHAPE } from '../support/protected-round.ts';

/** Two numbers that all train, a table [5, 3] of counted rows, and its counts. */
const counted = { offset: 17, rows: 5, tensors: [{ offset: 2, width: 3 }], least: 1 };
const SIZE = 22;
const PARTS = 3;
const UNIT = 0.5;
const GROUPS = ['ada', 'bo', 'cy', 'di'];
/** Nobody touches the last row. */
const touches = (group: number, row: number) => row < 4 && (row + group) % 4 <= row;
const changeOf = (group: number, position: number) => ((position % 5) + group - 3) / 64;

const parts = new Parts({ seed: 5, parts: PARTS, parameters: SIZE, always: counted });
const options = { bits: 4, mostGroups: 8, clipValue: UNIT };
const protection = inParts(mask.create(options, { ...SHAPE, parameters: parts.most, mostWeight: 1 }), parts);
const strategy = countingRows(fedavg.create({}), counted, { unit: UNIT, mostWeight: 1 });

function updateOf(index: number, round: number, received: Float32Array) {
  return makeUpdate({
    group: GROUPS[index]!,
    round,
    weight: 1,
    received,
    trained: received.map((value, position) => value + changeOf(index, position)),
    score: null,
    rows: { counted, touched: (row) => touches(index, row), unit: UNIT },
  });
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test('each round counts all rows, and moves its part of them by the mean over the groups that touch them', () => {
  let model = makeModel(0, new Float32Array(SIZE));
  for (let round = 1; round <= 2 * PARTS; round++) {
    const updates = GROUPS.map((_, index) => updateOf(index, round, model.parameters));
    const aggregate = playRound({ protection, updates, context: contextOf(SIZE, { round }) });
    const next = strategy.next(model, aggregate, null).model;
    const sent = new Set(parts.positionsOf(round));
    for (let position = 0; position < counted.offset; position++) {
      const row = position < 2 ? null : Math.floor((position - 2) / 3);
      const own = [...GROUPS.keys()].filter((index) => row === null || touches(index, row));
      const moved = next.parameters[position]! - model.parameters[position]!;
      if (!sent.has(position) || own.length === 0) expect(moved).toBe(0);
      // A group is rounded by less than a step of the grid.
      else
        expect(Math.abs(moved - meanOf(own.map((index) => changeOf(index, position))))).toBeLessThan(
          UNIT / 7,
        );
    }
    const counts = [...Array(counted.rows).keys()].map(
      (row) => [...GROUPS.keys()].filter((index) => touches(index, row)).length,
    );
    expect(new Set(counts).size).toBeGreaterThan(2);
    expect([...next.parameters.subarray(counted.offset)]).toEqual(counts);
    model = next;
  }
});
