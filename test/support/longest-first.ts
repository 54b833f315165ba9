import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Test files of more than 20 seconds, the longest first. On a fresh clone nothing is known of how long a file takes, and
 * one of these that began last would keep one core busy while the others have nothing left to do. It is about time alone:
 * a name that is missing here costs minutes at most.
 */
const LONGEST = [
  'server/fault-schedules',
  'e2e/protected-deployment',
  'e2e/kill-aggregator',
  'e2e/kill-group',
  'e2e/deployment',
  'e2e/replicas',
  'e2e/resume',
  'commands/group',
  'commands/privacy',
  'e2e/grid',
  'e2e/report-screenshot',
  'attacks/seal-wrong-shares',
  'privacy/seal',
  'server/page-live',
  'simulate/grid/run-grid',
  'server/fuzz',
  'commands/committee',
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
