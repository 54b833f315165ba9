import { expect, test } from 'vitest';
import { runStatusSchema } from '../../src/wire/http.ts';
import { statusFixture } from '../support/status-fixture.ts';

test('an aggregator that does not say what it holds is of a version that knew one way', () => {
  const { holds: _, ...status } = statusFixture();
  expect(runStatusSchema.parse(status).holds).toBe('clear');
});
