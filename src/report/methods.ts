import type { Figures, MethodRecord } from './record.ts';

/** The tone of a method's line: a name in `palette.ts`. */
export type Tone = 'federated' | 'centralised' | 'brief' | 'local' | 'uniform' | 'mean' | 'similar' | 'other';

/** What the report knows of a method beyond its figures. */
export interface MethodFacts {
  /** Label where room is short: in plots and beside them. */
  readonly short: string;
  /** The same inside a sentence. */
  readonly phrase: string;
  readonly tone: Tone;
  /** SVG dash pattern, so that lines differ without their colour. */
  readonly dash: string;
  /** Mark at the end of a line, for the same reason. */
  readonly symbol: 'circle' | 'square' | 'triangle' | 'diamond' | 'cross' | 'star' | 'wye';
  /** What a group hands over: counted bytes of updates, its answers to be read or only added up, or nothing. */
  readonly sends: 'updates' | 'answers' | 'sum of answers' | 'nothing';
  /** Whether somebody else must read each group's answers; the group mean needs their sum only. */
  readonly needsClearAnswers: boolean;
}

const FACTS: Readonly<Record<string, MethodFacts>> = {
  federated: {
    short: 'Federated',
    phrase: 'federated training',
    tone: 'federated',
    dash: '',
    symbol: 'circle',
    sends: 'updates',
    needsClearAnswers: false,
  },
  centralised: {
    short: 'Centralised, step-matched',
    phrase: 'centralised training with as many steps',
    tone: 'centralised',
    dash: '7 3',
    symbol: 'square',
    sends: 'answers',
    needsClearAnswers: true,
  },
  'centralised-round-matched': {
    short: 'Centralised, round-matched',
    phrase: 'centralised training with one step a round',
    tone: 'brief',
    dash: '2 3',
    symbol: 'diamond',
    sends: 'answers',
    needsClearAnswers: true,
  },
  'local-only': {
    short: 'Local only',
    phrase: 'training alone',
    tone: 'local',
    dash: '9 3 2 3',
    symbol: 'triangle',
    sends: 'nothing',
    needsClearAnswers: false,
  },
  uniform: {
    short: 'Uniform',
    phrase: 'a uniform guess',
    tone: 'uniform',
    dash: '1 4',
    symbol: 'wye',
    sends: 'nothing',
    needsClearAnswers: false,
  },
  'group-mean': {
    short: 'Group mean',
    phrase: 'the mean of the training groups',
    tone: 'mean',
    dash: '12 4',
    symbol: 'cross',
    sends: 'sum of answers',
    needsClearAnswers: false,
  },
  'similarity-mean': {
    short: 'Similarity-weighted mean',
    phrase: 'the similarity-weighted mean',
    tone: 'similar',
    dash: '5 3 1 3 1 3',
    symbol: 'star',
    sends: 'answers',
    needsClearAnswers: true,
  },
};

/**
 * The facts of a method. One that is not in the table counts as needing no clear answers: federated training
 * then has one rival more, never one fewer.
 */
export function factsOf(method: MethodRecord): MethodFacts {
  return (
    FACTS[method.id] ?? {
      short: method.label,
      phrase: method.label,
      tone: 'other',
      dash: '4 2 1 2',
      symbol: 'wye',
      sends: 'nothing',
      needsClearAnswers: false,
    }
  );
}

/** The methods in the order of every table and legend: those of the table above, then others as recorded. */
export function orderedMethods(record: Pick<Figures, 'methods'>): readonly MethodRecord[] {
  const order = Object.keys(FACTS);
  const rank = ({ id }: MethodRecord): number => (order.includes(id) ? order.indexOf(id) : order.length);
  return [...record.methods].sort((a, b) => rank(a) - rank(b));
}

/** The method with this id, where the run has it. */
export function methodOf(record: Pick<Figures, 'methods'>, id: string): MethodRecord | undefined {
  return record.methods.find((method) => method.id === id);
}
