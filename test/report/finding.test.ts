import { describe, expect, it } from 'vitest';
import { duelInWords, findingOf, headline } from '../../src/report/finding.ts';
import type { MethodRecord, RunRecord } from '../../src/report/record.ts';
import { recordFixture } from '../support/record-fixture.ts';

/** The fixture with each unseen group of a method at one score. */
function withScores(scores: Readonly<Record<string, number>>): RunRecord {
  const record = recordFixture();
  const methods = record.methods
    .filter(({ id }) => scores[id] !== undefined)
    .map((method): MethodRecord => {
      const mean = scores[method.id] ?? 0;
      const unseen = method.summaries.unseen;
      return {
        ...method,
        scores: method.scores.map((score) => ({ ...score, alignment: mean })),
        summaries: unseen === undefined ? {} : { unseen: { ...unseen, mean } },
      };
    });
  return { ...record, methods };
}

describe('the finding', () => {
  it('says that a predictor behind the group mean has not earned its cost', () => {
    const finding = findingOf(withScores({ federated: 0.864, 'group-mean': 0.867, uniform: 0.742 }));
    expect(finding?.main).toMatchObject({ verdict: 'behind', groupsAhead: 0, groupsCompared: 7 });
    expect(headline(finding)).toContain('(0.864) does not beat the mean of the training groups (0.867)');
    expect(headline(finding)).toContain('has not earned its cost');
  });

  it('says so too when the two are level to three decimals', () => {
    const finding = findingOf(withScores({ federated: 0.8671, 'group-mean': 0.8669 }));
    expect(finding?.main?.verdict).toBe('level');
    expect(headline(finding)).toContain('only level with');
    expect(headline(finding)).toContain('has not earned its cost');
  });

  it('says that it beats the best comparison where it does', () => {
    const finding = findingOf(withScores({ federated: 0.889, 'group-mean': 0.867, 'local-only': 0.881 }));
    expect(finding?.main).toMatchObject({ verdict: 'ahead', groupsAhead: 7 });
    expect(finding?.main?.rival.id).toBe('local-only');
    expect(headline(finding)).toContain('(0.889) beats');
    expect(headline(finding)).toContain('training alone (0.881)');
  });

  it('does not judge by methods that read everybody’s answers, but names the gap', () => {
    const finding = findingOf(
      withScores({ federated: 0.889, uniform: 0.742, centralised: 0.95, 'similarity-mean': 0.907 }),
    );
    expect(finding?.main?.rival.id).toBe('uniform');
    const clauses = finding?.duels.map(duelInWords) ?? [];
    expect(clauses[0]).toBe('0.061 behind centralised training with as many steps (higher in 0 of 7 groups)');
    expect(clauses[2]).toBe('0.018 behind the similarity-weighted mean (higher in 0 of 7 groups)');
  });

  it('counts a method it does not know as a rival', () => {
    const record = withScores({ federated: 0.889, uniform: 0.95 });
    const methods = record.methods.map((method) =>
      method.id === 'uniform' ? { ...method, id: 'novel' } : method,
    );
    expect(findingOf({ ...record, methods })?.main?.verdict).toBe('behind');
  });

  it('falls back to the training groups, and has nothing to say without a federated method', () => {
    const record = recordFixture();
    const methods = record.methods.map((method) => {
      const { training } = method.summaries;
      return { ...method, summaries: training === undefined ? {} : { training } };
    });
    expect(findingOf({ ...record, methods })?.split).toBe('training');
    expect(findingOf(withScores({ uniform: 0.742 }))).toBeUndefined();
    expect(headline(undefined)).toContain('no federated predictor');
    expect(headline(findingOf(withScores({ federated: 0.8 })))).toContain('nothing to compare it with');
  });
});
