import { invariant } from '../core/errors.ts';
import type { Dim, Shape } from './node.ts';

/** Shapes in messages: `[N, 4]`. */
export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Equal rank and dimensions; a symbol equals only itself. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** NumPy broadcasting of two shapes; INTERNAL where they do not fit. */
export function broadcastShape(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis): Dim => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    invariant(
      left === right || left === 1 || right === 1,
      `${showShape(a)} and ${showShape(b)} do not broadcast`,
    );
    return left === 1 ? right : left;
  });
}

/** Axes of `shape` that broadcasting stretched from `original` (missing axes count as 1). */
export function stretchedAxes(shape: Shape, original: Shape): number[] {
  const missing = shape.length - original.length;
  return shape.flatMap((dim, axis) => ((original[axis - missing] ?? 1) === dim ? [] : [axis]));
}

/** Number of elements of a shape without symbols. */
export function elementCount(shape: Shape): number {
  return shape.reduce<number>((product, dim) => {
    invariant(typeof dim === 'number', `${showShape(shape)} has a symbolic size`);
    return product * dim;
  }, 1);
}
