import { invariant } from '../core/errors.ts';
import type { CountedRows } from '../wire/counted-rows.ts';

/** One named tensor in the flat parameter vector. */
export interface ParameterEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Position of its first element in the flat vector. */
  readonly offset: number;
  readonly size: number;
  /** Read, and never trained: the gradient has exact zeros in its place. */
  readonly frozen: boolean;
}

/** A tensor that is to be laid out. */
export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
  readonly frozen?: boolean;
}

/** Where each tensor of a predictor stands in its flat float32 vector. */
export interface ParameterLayout {
  readonly entries: readonly ParameterEntry[];
  /** Length of the flat vector. */
  readonly size: number;
  /** Rows that only some groups touch; null where every group trains all parameters. */
  readonly counted: CountedRows | null;
}

/** Lays tensors out one after the other, in the order given. */
export function layOut(tensors: readonly TensorShape[]): ParameterLayout {
  let offset = 0;
  const entries = tensors.map(({ name, shape, frozen = false }) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const entry = { name, shape, offset, size, frozen };
    offset += size;
    return entry;
  });
  return { entries, size: offset, counted: null };
}

/** A layout whose tensors [rows, width] are counted row by row, in the tensor `counts` [rows]. */
export function countRows(
  layout: ParameterLayout,
  named: { readonly counts: string; readonly tensors: readonly string[]; readonly least: number },
): ParameterLayout {
  const { offset, size: rows } = entryOf(layout, named.counts);
  const tensors = named.tensors.map((name) => {
    const { offset: start, size } = entryOf(layout, name);
    invariant(size % rows === 0, `${name} has whole rows`);
    return { offset: start, width: size / rows };
  });
  return { ...layout, counted: { offset, rows, tensors, least: named.least } };
}

/** The entry of a name; INTERNAL if there is none. */
export function entryOf(layout: ParameterLayout, name: string): ParameterEntry {
  const entry = layout.entries.find((candidate) => candidate.name === name);
  invariant(entry !== undefined, `no parameter ${name}`);
  return entry;
}

/** The part of a flat vector that holds one tensor, as a view. */
export function tensorOf(layout: ParameterLayout, flat: Float32Array, name: string): Float32Array {
  const { offset, size } = entryOf(layout, name);
  return flat.subarray(offset, offset + size);
}

/** Part of a flat vector, end exclusive. */
export interface ParameterRange {
  readonly start: number;
  readonly end: number;
}

/** The tensors of a range as a layout of their own; INTERNAL where the range cuts a tensor. */
export function rangeLayout({ entries }: ParameterLayout, { start, end }: ParameterRange): ParameterLayout {
  const inside = entries.filter(({ offset }) => start <= offset && offset < end);
  const layout = layOut(inside);
  invariant(inside[0]?.offset === start && layout.size === end - start, `tensors of ${start}..${end}`);
  return layout;
}

/** Elements from which on a tensor is worth an input and an output of its own: a megabyte. */
const LARGE = 2 ** 18;

/** A part of the flat vector that a graph takes or gives as one tensor. */
export interface LayoutPart {
  /** Position of its first element in the flat vector. */
  readonly offset: number;
  readonly size: number;
  readonly shape: readonly number[];
  /** The tensor that it is; null where it is several small ones, one after the other. */
  readonly entry: ParameterEntry | null;
}

/** Whether a graph whose large tensors stand apart takes and gives this one by itself. */
export function standsApart({ size }: ParameterEntry): boolean {
  return size >= LARGE;
}

/** The flat vector in parts, in its order: large tensors by themselves, what lies between them together. */
export function partsOf(layout: ParameterLayout): LayoutPart[] {
  const parts: LayoutPart[] = [];
  for (const entry of layout.entries) {
    const last = parts.at(-1);
    const { offset, size, shape } = entry;
    if (standsApart(entry)) parts.push({ offset, size, shape, entry });
    else if (last === undefined || last.entry !== null)
      parts.push({ offset, size, shape: [size], entry: null });
    else {
      const whole = last.size + size;
      parts[parts.length - 1] = { ...last, size: whole, shape: [whole] };
    }
  }
  return parts;
}
