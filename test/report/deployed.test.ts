import { describe, expect, test } from 'vitest';
import { renderDeployed } from '../../src/report/deployed/render.ts';
import { HOSTILE_NAME, statusFixture } from '../support/status-fixture.ts';

describe('the report of a deployed run', () => {
  test('shows rounds, scores and digests, loads nothing and runs nothing', () => {
    const status = statusFixture({ round: 5, rounds: 8 });
    const page = renderDeployed(status);
    expect(page).toContain('default-src &#39;none&#39;');
    expect(page).not.toMatch(/<script|src="http|href="http/);
    for (const { model } of status.history) expect(page).toContain(model.slice(0, 8));
    expect(page).toContain(status.digest);
    expect(page).toContain(status.scores.at(-1)!.mean.toFixed(3));
    expect(page).toContain('Alignment of the training groups');
  });

  test('names are text, whatever they are', () => {
    const page = renderDeployed(statusFixture({ names: [HOSTILE_NAME] }));
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;img');
  });

  test('a run without scores says so', () => {
    const status = { ...statusFixture({}), scores: [] };
    expect(renderDeployed(status)).toContain('no group has sent any');
  });

  test('a run whose aggregator holds ciphertext says that it knows none', () => {
    const status = { ...statusFixture(), scores: [], holds: 'ciphertext' as const };
    const page = renderDeployed(status);
    expect(page).toContain('not known to the aggregator, which holds ciphertext only');
    expect(page).toContain('the aggregator held ciphertext only');
    expect(page).not.toContain('the aggregator saw sums only');
  });

  test('the same status gives the same bytes', () => {
    const status = statusFixture({ nowMs: 1_800_000_000_000 });
    expect(renderDeployed(status)).toBe(renderDeployed(status));
  });
});
