import { distance } from 'fastest-levenshtein';

/** The known name nearest to a mistyped one, or undefined when none is near enough to be worth suggesting. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 2)) + 1;
  for (const candidate of known) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** `did you mean "x"?` or, with nothing near, the list of what is known. */
export function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return 'Remove it: nothing can be set here.';
  const nearest = nearestName(name, known);
  return nearest === undefined ? `Known: ${known.join(', ')}.` : `Did you mean "${nearest}"?`;
}
