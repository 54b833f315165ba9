import { drawn } from './dom.js';
import { roundAxis, valueAxis } from './scale.js';

/** One plot as SVG, drawn for the width it has, so that its text keeps its size on every screen. */

/** @typedef {{ round: number, values: readonly (number | null)[] }} Row */
/** @typedef {'solid' | 'dashed'} LineStyle */
/**
 * @typedef {object} PlotSpec
 * @property {string} title
 * @property {string} reading the sentence that says how to read it
 * @property {string} unit
 * @property {string} empty what is said while there is nothing to draw
 * @property {'line' | 'columns'} kind
 * @property {readonly { name: string, style: LineStyle }[]} series
 * @property {(value: number | null | undefined) => string} format
 * @property {(value: number, decimals: number) => string} formatTick
 * @property {{ span: number, floor: number, ceiling: number }} limits
 */
/** @typedef {{ x: (round: number) => number, y: (value: number) => number, top: number, bottom: number, column: number }} Frame */

const MARGIN = { top: 28, right: 6, bottom: 40, left: 58 };
/** Room in px for one label of the axis of rounds. */
const TICK_ROOM = 64;
const WIDEST_COLUMN = 28;
/** From this many rounds on a line has less than three px for each: dashes and a broad pen would only blur it. */
const DENSE = 240;
/** Half the width in px of one digit in a label. */
const HALF_DIGIT = 4.2;

/**
 * @param {PlotSpec} spec
 * @param {readonly Row[]} rows at least one, ascending
 * @param {number} rounds
 * @param {{ width: number, height: number }} size in px
 * @returns {{ svg: Element, frame: Frame, over: Element }} `over` is the layer for what is pointed at
 */
export function drawPlot(spec, rows, rounds, size) {
  const values = rows.flatMap((row) => row.values.filter((value) => value !== null));
  const vertical = valueAxis(spec.kind === 'columns' ? [0, ...values] : values, spec.limits);
  const across = size.width - MARGIN.left - MARGIN.right;
  const horizontal = roundAxis(rows.at(-1)?.round ?? 0, rounds, across / TICK_ROOM);
  const frame = frameOf(spec, vertical, horizontal, size);
  const over = drawn('g');
  const looks = rows.length < DENSE ? 'plot' : 'plot dense';
  const svg = drawn('svg', { class: looks, width: size.width, height: size.height, 'aria-hidden': 'true' }, [
    ...valueMarks(spec, vertical, frame, size),
    ...roundMarks(horizontal, frame, size),
    ...(spec.kind === 'columns' ? [columns(rows, frame)] : lines(spec, rows, frame)),
    over,
  ]);
  return { svg, frame, over };
}

/**
 * @param {PlotSpec} spec
 * @param {import('./scale.js').Axis} vertical
 * @param {import('./scale.js').Axis} horizontal
 * @param {{ width: number, height: number }} size
 * @returns {Frame}
 */
function frameOf(spec, vertical, horizontal, { width, height }) {
  const [top, bottom] = [MARGIN.top, height - MARGIN.bottom];
  // Columns stand on their round, so the outer ones need half a slot more.
  const half = spec.kind === 'columns' ? 0.5 : 0;
  const slot = (width - MARGIN.left - MARGIN.right) / (horizontal.high + 2 * half);
  return {
    x: (round) => MARGIN.left + (round + half) * slot,
    y: (value) => bottom - ((value - vertical.low) / (vertical.high - vertical.low)) * (bottom - top),
    top,
    bottom,
    column: Math.max(1, Math.min(WIDEST_COLUMN, slot * 0.7)),
  };
}

/**
 * @param {PlotSpec} spec
 * @param {import('./scale.js').Axis} axis
 * @param {Frame} frame
 * @param {{ width: number }} size
 */
function valueMarks(spec, axis, frame, { width }) {
  const marks = axis.ticks.flatMap((tick) => [
    drawn('path', { class: 'grid', d: `M${MARGIN.left} ${frame.y(tick)}H${width - MARGIN.right}` }),
    drawn('text', { x: MARGIN.left - 8, y: frame.y(tick) + 4, 'text-anchor': 'end' }, [
      spec.formatTick(tick, axis.decimals),
    ]),
  ]);
  return [...marks, drawn('text', { x: 0, y: 11 }, [spec.unit])];
}

/**
 * @param {import('./scale.js').Axis} axis
 * @param {Frame} frame
 * @param {{ width: number, height: number }} size
 */
function roundMarks(axis, frame, { width, height }) {
  const marks = axis.ticks.flatMap((tick) => [
    drawn('path', { class: 'tick', d: `M${frame.x(tick)} ${frame.bottom}v4` }),
    drawn('text', { x: labelAt(frame.x(tick), tick, width), y: frame.bottom + 17, 'text-anchor': 'middle' }, [
      String(tick),
    ]),
  ]);
  const middle = (MARGIN.left + width - MARGIN.right) / 2;
  return [...marks, drawn('text', { x: middle, y: height - 5, 'text-anchor': 'middle' }, ['round'])];
}

/**
 * The middle of a label, moved in where the last one would be cut off at the edge.
 * @param {number} x
 * @param {number} tick
 * @param {number} width
 */
function labelAt(x, tick, width) {
  return Math.min(x, width - HALF_DIGIT * String(tick).length);
}

/**
 * @param {readonly Row[]} rows
 * @param {Frame} frame
 */
function columns(rows, frame) {
  const parts = rows.flatMap(({ round, values: [value = null] }) => {
    const top = frame.y(value ?? 0);
    const left = frame.x(round) - frame.column / 2;
    return value === null ? [] : [`M${left} ${frame.bottom}V${top}h${frame.column}V${frame.bottom}Z`];
  });
  return drawn('path', { class: 'columns', d: parts.join('') });
}

/**
 * The first line is the main one and lies over the others.
 * @param {PlotSpec} spec
 * @param {readonly Row[]} rows
 * @param {Frame} frame
 */
function lines(spec, rows, frame) {
  return spec.series
    .map(({ style }, i) => {
      const points = rows.map(({ round, values }) => ({ round, value: values[i] ?? null }));
      const last = points.findLast(({ value }) => value !== null);
      return drawn('g', { class: style }, [
        drawn('path', { class: 'line', d: pathOf(points, frame) }),
        ...(last === undefined ? [] : [markAt(style, frame.x(last.round), frame.y(last.value ?? 0))]),
      ]);
    })
    .reverse();
}

/**
 * @param {readonly { round: number, value: number | null }[]} points
 * @param {Frame} frame
 */
function pathOf(points, frame) {
  let pen = 'M';
  const parts = [];
  for (const { round, value } of points) {
    if (value !== null) parts.push(`${pen}${frame.x(round).toFixed(1)} ${frame.y(value).toFixed(1)}`);
    pen = value === null ? 'M' : 'L';
  }
  return parts.join('');
}

/**
 * A filled disc or an open square: lines differ without their colour.
 * @param {LineStyle} style
 * @param {number} x
 * @param {number} y
 */
export function markAt(style, x, y) {
  return style === 'solid'
    ? drawn('circle', { class: 'mark', cx: x, cy: y, r: 4.5 })
    : drawn('rect', { class: 'mark', x: x - 4, y: y - 4, width: 8, height: 8 });
}
