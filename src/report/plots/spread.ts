/**
 * Moves positions apart until neighbours are at least `gap` from each other, each as little as needed, in the
 * order they have; all stay in [low, high] where the room suffices, else they are spaced evenly over it.
 * Isotonic regression of (position - rank * gap) by pooling adjacent violators (Barlow et al., 1972): the least
 * sum of squared moves.
 */
export function spreadApart(
  positions: readonly number[],
  gap: number,
  low: number,
  high: number,
): readonly number[] {
  const last = positions.length - 1;
  const step = last > 0 ? Math.min(gap, (high - low) / last) : 0;
  const order = positions.map((_, i) => i).sort((a, b) => at(positions, a) - at(positions, b));
  const pools: { sum: number; count: number }[] = [];
  order.forEach((index, rank) => {
    pools.push({ sum: at(positions, index) - rank * step, count: 1 });
    mergeFalling(pools);
  });
  const moved: number[] = [...positions];
  let rank = 0;
  for (const { sum, count } of pools) {
    const base = Math.min(Math.max(sum / count, low), high - last * step);
    for (let i = 0; i < count; i++, rank++) moved[at(order, rank)] = base + rank * step;
  }
  return moved;
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? 0;
}

/** Joins the last pools while a pool's mean lies below that of the one before it. */
function mergeFalling(pools: { sum: number; count: number }[]): void {
  for (;;) {
    const [before, last] = pools.slice(-2);
    if (before === undefined || last === undefined || before.sum / before.count <= last.sum / last.count)
      return;
    pools.pop();
    before.sum += last.sum;
    before.count += last.count;
  }
}
