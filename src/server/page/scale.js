/** Where values and rounds lie in a drawing. Bounds move in steps, so that a plot does not jump with every round. */

/** @typedef {{ low: number, high: number, ticks: readonly number[], decimals: number }} Axis */

/**
 * 1, 2 or 5 times a power of ten, at least `least`.
 * @param {number} least above 0
 */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  // A little slack: 0.2 / 4 is not exactly 0.05.
  const factor = [1, 2, 5].find((candidate) => candidate * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/**
 * An axis that holds all values and ends at ticks. `floor` and `ceiling` are values that the quantity cannot pass;
 * `span` is the least range, so that noise in the last digit does not look like a trend.
 * @param {readonly number[]} values
 * @param {{ span: number, floor: number, ceiling: number }} limits
 * @returns {Axis}
 */
export function valueAxis(values, { span, floor, ceiling }) {
  const finite = values.filter((value) => Number.isFinite(value));
  let [least, most] = [finite[0] ?? 0, finite[0] ?? 0];
  for (const value of finite) [least, most] = [Math.min(least, value), Math.max(most, value)];
  const missing = Math.max(0, span - (most - least));
  const low = Math.max(floor, least - missing / 2);
  const high = Math.min(ceiling, Math.max(most + missing / 2, low + span));
  const step = niceStep(Math.max(high - low, span / 2) / 4);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { low: first * step, high: last * step, ticks, decimals };
}

/**
 * Rounds from 0 to a round number past the last one, never past the end of the run.
 * @param {number} lastRound
 * @param {number} rounds of the whole run
 * @param {number} room ticks that there is room for
 * @returns {Axis}
 */
export function roundAxis(lastRound, rounds, room) {
  const grown = Math.max(10, niceStep(Math.max(1, lastRound)));
  const high = Math.max(1, lastRound, Math.min(grown, rounds));
  const step = Math.max(1, niceStep(high / Math.max(1, room)));
  const ticks = Array.from({ length: Math.floor(high / step) + 1 }, (_, i) => i * step);
  return { low: 0, high, ticks, decimals: 0 };
}
