import type { MethodFacts, Tone } from '../methods.ts';

/** Lines of settings differ by colour, dash and mark, as those of methods do; blue stays that of federated training among methods. */
const LOOKS: readonly (Pick<MethodFacts, 'dash' | 'symbol'> & { readonly tone: Tone })[] = [
  { tone: 'centralised', dash: '', symbol: 'circle' },
  { tone: 'local', dash: '7 3', symbol: 'square' },
  { tone: 'similar', dash: '2 3', symbol: 'triangle' },
  { tone: 'other', dash: '9 3 2 3', symbol: 'diamond' },
  { tone: 'brief', dash: '12 4', symbol: 'cross' },
  { tone: 'mean', dash: '5 3 1 3 1 3', symbol: 'star' },
  { tone: 'uniform', dash: '1 4', symbol: 'wye' },
];

/** As many settings as one plot shows apart. */
export const MOST_LINES = LOOKS.length;

/** How the `index`-th setting of a plot is drawn. */
export function lookOf(name: string, index: number): MethodFacts {
  const look = LOOKS[index % LOOKS.length]!;
  return { ...look, short: name, phrase: name, sends: 'updates', needsClearAnswers: false };
}
