/** More than two thirds: two such sets have more than a third of all in common, so an honest group. */
export function quorumOf(groups: number): number {
  return Math.floor((2 * groups) / 3) + 1;
}
