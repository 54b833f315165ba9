/**
 * Does `work` on all items, at most `limit` ahead of the one that is consumed next, and consumes the results in
 * the order of the items. Memory is bounded by `limit`, and the outcome does not depend on what finishes first.
 * The first failure in that order is thrown; nothing new is started after it.
 */
export async function forEachOrdered<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
  consume: (result: Result, item: Item) => void | Promise<void>,
): Promise<void> {
  const underWay: Promise<Result>[] = [];
  let started = 0;
  for (const [index, item] of items.entries()) {
    while (started < items.length && started < index + limit) {
      const result = work(items[started++]!);
      // A failure is thrown when its turn comes; until then it is not "unhandled".
      result.catch(() => undefined);
      underWay.push(result);
    }
    await consume(await underWay.shift()!, item);
  }
}

/** The same with the results as a list. */
export async function mapOrdered<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  await forEachOrdered(items, limit, work, (result) => {
    results.push(result);
  });
  return results;
}
