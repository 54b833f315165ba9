/** So many choices are all tried. */
const MOST_ALL = 5000;

/** How many choices of `some` of `all` there are; exact as far as it is small. */
export function choicesCount(all: number, some: number): number {
  let count = 1;
  for (let i = 1; i <= Math.min(some, all - some); i++) count = (count * (all - i + 1)) / i;
  return Math.round(count);
}

/** All choices of `some` of the items, in order of their places. */
function* everyChoice<Item>(items: readonly Item[], some: number): Generator<readonly Item[]> {
  if (some === 0) return yield [];
  for (let first = 0; first + some <= items.length; first++)
    for (const rest of everyChoice(items.slice(first + 1), some - 1)) yield [items[first]!, ...rest];
}

/**
 * Choices of shares to try, so that those who lie do not spoil a round: all there are, where they are few. Otherwise as many in a row
 * from each place on, then the first ones without one of them each: a few liars are got around, many are not.
 */
export function* choicesOf<Item>(items: readonly Item[], some: number): Generator<readonly Item[]> {
  if (items.length < some) return;
  if (choicesCount(items.length, some) <= MOST_ALL) return yield* everyChoice(items, some);
  const twice = [...items, ...items];
  for (let first = 0; first < items.length; first++) yield twice.slice(first, first + some);
  for (let left = 0; left < some; left++) yield items.toSpliced(left, 1).slice(0, some);
}
