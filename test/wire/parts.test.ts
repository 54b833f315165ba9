import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Parts, type PartsOptions } from '../../src/wire/parts.ts';

const options: fc.Arbitrary<PartsOptions> = fc
  .record({
    seed: fc.nat(),
    parts: fc.integer({ min: 1, max: 12 }),
    parameters: fc.integer({ min: 1, max: 200 }),
    rows: fc.integer({ min: 0, max: 20 }),
    before: fc.nat({ max: 200 }),
  })
  .map(({ rows, before, ...rest }) => {
    const counts = Math.min(rows, rest.parameters);
    return {
      ...rest,
      always: counts === 0 ? null : { offset: before % (rest.parameters - counts + 1), rows: counts },
    };
  });
const cycles = fc.nat({ max: 5 });

/** The rounds of a cycle, from round 1 on. */
const roundsOf = ({ parts }: PartsOptions, cycle: number) =>
  Array.from({ length: parts }, (_, index) => cycle * parts + index + 1);

const isAlways = ({ always }: PartsOptions, position: number) =>
  always !== null && position >= always.offset && position < always.offset + always.rows;

describe('the parts of a cycle', () => {
  test('cover every parameter once, and what every round sends in each (property)', () => {
    fc.assert(
      fc.property(options, cycles, (of, cycle) => {
        const parts = new Parts(of);
        const times = new Array<number>(of.parameters).fill(0);
        for (const round of roundsOf(of, cycle)) {
          const positions = [...parts.positionsOf(round)];
          expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
          for (const position of positions) times[position]!++;
        }
        expect(times).toEqual(times.map((_, position) => (isAlways(of, position) ? of.parts : 1)));
      }),
    );
  });

  test('are of equal size but for one parameter, and the longest is as long as said (property)', () => {
    fc.assert(
      fc.property(options, cycles, (of, cycle) => {
        const parts = new Parts(of);
        const sizes = roundsOf(of, cycle).map((round) => parts.positionsOf(round).length);
        expect(Math.max(...sizes)).toBe(parts.most);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('follow from seed and round alone, in whatever order they are asked for (property)', () => {
    fc.assert(
      fc.property(options, fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 8 }), (of, rounds) => {
        const parts = new Parts(of);
        for (const round of rounds)
          expect(parts.positionsOf(round)).toEqual(new Parts(of).positionsOf(round));
      }),
    );
  });
});

test('each cycle and each seed draws anew, and every parameter is as likely in a part', () => {
  const first = (seed: number, round: number) =>
    [...new Parts({ seed, parts: 4, parameters: 40, always: null }).positionsOf(round)].join();
  expect(new Set([first(1, 1), first(1, 5), first(2, 1), first(2, 5)]).size).toBe(4);
  const times = new Array<number>(8).fill(0);
  for (let seed = 0; seed < 4000; seed++) {
    const parts = new Parts({ seed, parts: 4, parameters: 8, always: null });
    for (const position of parts.positionsOf(1)) times[position]!++;
  }
  // 1,000 each, with a deviation of sqrt(4000 / 4 * 3 / 4) = 27.4: six of them.
  for (const count of times) expect(Math.abs(count - 1000)).toBeLessThan(165);
});

test('what is gathered and scattered is itself in its part and zero elsewhere (property)', () => {
  fc.assert(
    fc.property(options, fc.integer({ min: 1, max: 60 }), (of, round) => {
      const parts = new Parts(of);
      const whole = Float32Array.from({ length: of.parameters }, (_, i) => i + 0.5);
      const sent = new Set(parts.positionsOf(round));
      const back = parts.scatter(round, Float64Array.from(parts.gather(round, whole)));
      expect([...back]).toEqual([...whole].map((value, position) => (sent.has(position) ? value : 0)));
    }),
  );
});

test('a vector of another length and a round before the first are faults', () => {
  const parts = new Parts({ seed: 1, parts: 2, parameters: 6, always: null });
  const internal = expect.objectContaining({ code: 'INTERNAL' });
  expect(() => parts.gather(1, new Float32Array(3))).toThrow(internal);
  expect(() => parts.scatter(1, new Float64Array(6))).toThrow(internal);
  expect(() => parts.positionsOf(0)).toThrow(internal);
});
