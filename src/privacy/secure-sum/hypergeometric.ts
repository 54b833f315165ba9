/**
 * P[x of the `drawn` are marked] for x = 0..drawn, drawing without replacement; relative error below 1e-12.
 * Only + - * / are used, which IEEE 754 rounds alike everywhere: all groups must come to the same plan.
 */
export function hypergeometric(population: number, marked: number, drawn: number): Float64Array {
  const pmf = new Float64Array(drawn + 1);
  // From the mode, whose probability is at least 1 / (drawn + 1), so that nothing that matters underflows.
  const mode = Math.floor(((drawn + 1) * (marked + 1)) / (population + 2));
  let p = 1;
  for (let i = 0; i < mode; i++) p *= (((marked - i) / (population - i)) * (drawn - i)) / (mode - i);
  for (let i = 0; i < drawn - mode; i++) p *= (population - marked - i) / (population - mode - i);
  pmf[mode] = p;
  const unmarked = population - marked;
  for (let x = mode; x < drawn && pmf[x]! > 0; x++)
    pmf[x + 1] = (pmf[x]! * (marked - x) * (drawn - x)) / ((x + 1) * (unmarked - drawn + x + 1));
  for (let x = mode; x > 0 && pmf[x]! > 0; x--)
    pmf[x - 1] = (pmf[x]! * x * (unmarked - drawn + x)) / ((marked - x + 1) * (drawn - x + 1));
  return pmf;
}

/** The largest x with P[fewer than x are marked] at most `bound`. */
export function lowerQuantile(pmf: Float64Array, bound: number): number {
  let below = 0;
  let x = 0;
  while (x < pmf.length - 1 && below + pmf[x]! <= bound) below += pmf[x++]!;
  return x;
}

/** The smallest x with P[more than x are marked] at most `bound`. */
export function upperQuantile(pmf: Float64Array, bound: number): number {
  let above = 0;
  let x = pmf.length - 1;
  while (x > 0 && above + pmf[x]! <= bound) above += pmf[x--]!;
  return x;
}
