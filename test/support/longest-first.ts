import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Test files of more than 20 seconds, the longest first. On a fresh clone nothing is known of how long a file takes, and
 * one of these that began last would keep one core busy while the others have nothing left to do. It is about time alone:
 * a name that is missing here costs minutes at most.
 */
const LONGEST = [
  'e2e/kill-aggregator',
  'e2e/protected-deployment',
  'server/fault-schedules',
  'e2e/deployment',
  'e2e/kill-group',
  'e2e/replicas',
  'e2e/resume',
  'e2e/commands',
  'e2e/grid',
  'privacy/seal',
  'attacks/seal-wrong-shares',
  'e2e/bad-input',
  'e2e/slow-link',
  'server/page-live',
  'commands/group',
  'simulate/grid/run-grid',
  'server/fuzz',
  'commands/privacy',
  'privacy/mask/exactness',
  'server/jobs/pg-boss',
  'privacy/seal/rounds',
  'server/page-looks',
].map((name) => `/test/${name}.test.ts`);

function placeOf({ moduleId }: TestSpecification): number {
  const place = LONGEST.findIndex((end) => moduleId.endsWith(end));
  return place < 0 ? LONGEST.length : place;
}

/** The order of the test files: the longest first, the others as vitest has them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}
