import { asStage } from '../../src/core/brand.ts';
import { randomStream } from '../../src/core/random.ts';
import type { Answer, Question, Survey } from '../../src/data/survey.ts';

/** Shape of a made-up survey. */
export interface TinySurveyOptions {
  readonly questions?: number;
  readonly groups?: number;
  readonly seed?: number;
  /** Share of (group, question) pairs without an answer. */
  readonly missing?: number;
}

const SUBJECTS = ['taxes', 'schools', 'parks', 'trains', 'libraries', 'hospitals', 'farms'];
const SCALES = [
  ['Agree', 'Neutral', 'Disagree', "Don't know"],
  ['Yes', 'No'],
  ['Much better', 'Somewhat better', 'Somewhat worse', 'Much worse', 'No answer'],
];

/** Questions that share words with each other, on scales of 2 to 5 options. */
export function tinyQuestions(count: number): Question[] {
  return Array.from({ length: count }, (_, q) => ({
    id: `q${q}`,
    text: `Question ${q}: should the town spend more on ${SUBJECTS[q % SUBJECTS.length]} than last year?`,
    options: SCALES[q % SCALES.length]!,
  }));
}

/** Positive shares with sum 1. */
function randomShares(options: number, random: { uniform(): number }): Float64Array {
  const weights = Float64Array.from({ length: options }, () => 0.05 + random.uniform());
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** A small survey with random answers: a function of its options alone. */
export function tinySurvey(options: TinySurveyOptions = {}): Survey {
  const { questions: questionCount = 12, groups: groupCount = 5, seed = 0, missing = 0 } = options;
  const questions = tinyQuestions(questionCount);
  const groups = Array.from({ length: groupCount }, (_, g) => ({ id: `g${g}`, label: `Group ${g}` }));
  const answers = groups.map(({ id }) => {
    const random = randomStream(seed, 'tiny-survey', id);
    return questions.flatMap(({ options: texts }, question): Answer[] => {
      const absent = random.uniform() < missing;
      const distribution = randomShares(texts.length, random);
      return absent ? [] : [{ question, distribution }];
    });
  });
  return asStage({ name: 'tiny', questions, groups, answers, provenance: TINY_PROVENANCE });
}

const TINY_PROVENANCE = { source: 'made up for tests', licence: 'none', attribution: 'none' };

/** The survey with the answers of one group changed: `change` gives a new distribution or undefined to keep it. */
export function withAnswers(
  survey: Survey,
  group: number,
  change: (question: number, distribution: Float64Array) => Float64Array | undefined,
): Survey {
  const answers = survey.answers.map((own, g) =>
    g !== group
      ? own
      : own.map((answer) => ({
          ...answer,
          distribution: change(answer.question, answer.distribution) ?? answer.distribution,
        })),
  );
  const { name, questions, groups, provenance } = survey;
  return asStage({ name, questions, groups, answers, provenance });
}
