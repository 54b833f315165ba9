import { randomStream } from '../src/core/random.ts';
import type { Survey } from '../src/data/survey.ts';
import { validateSurvey } from '../src/data/validate.ts';

/** A survey of any size with answers at random: for measuring cost, never for figures about people. */
export function syntheticSurvey(groupCount: number, questionCount: number, optionCount: number): Survey {
  const random = randomStream(1, 'synthetic', groupCount, questionCount);
  const where = (row: number) => ({ file: 'synthetic', row });
  const questions = Array.from({ length: questionCount }, (_, q) => ({
    id: `q${q}`,
    text: `Synthetic question number ${q}`,
    options: Array.from({ length: optionCount }, (_, o) => `option ${o}`),
    where: where(q),
  }));
  const groups = Array.from({ length: groupCount }, (_, g) => ({ id: `group-${g}`, label: `Group ${g}` }));
  const answers = groups.flatMap(({ id }, g) =>
    questions.map((question, q) => ({
      question: question.id,
      group: id,
      weights: Array.from({ length: optionCount }, () => 1 + random.below(99)),
      where: where(g * questionCount + q),
    })),
  );
  const provenance = { source: 'bench/synthetic-survey.ts', licence: 'none', attribution: 'none' };
  return validateSurvey({ name: 'synthetic', questions, groups, answers, weights: 'counts', provenance })
    .survey;
}
