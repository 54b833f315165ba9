import { renderPage } from './page.ts';
import type { RunRecord } from './record.ts';
import { comparisonSection } from './sections/comparison.ts';
import { convergenceSection } from './sections/convergence.ts';
import { curvesSection } from './sections/curves.ts';
import { fairnessSection } from './sections/fairness.ts';
import { groupsSection } from './sections/groups.ts';
import { headerMarkup } from './sections/header.ts';
import type { Section } from './sections/parts.ts';
import { privacySection } from './sections/privacy.ts';
import { dataSection, environmentSection } from './sections/provenance.ts';
import { timeSection } from './sections/time.ts';

const SECTIONS: readonly ((record: RunRecord) => Section)[] = [
  comparisonSection,
  curvesSection,
  groupsSection,
  fairnessSection,
  convergenceSection,
  privacySection,
  timeSection,
  dataSection,
  environmentSection,
];

/** The report of a run as one self-contained HTML page. The same record gives the same bytes. */
export function renderReport(record: RunRecord): string {
  return renderPage({
    title: record.name,
    header: headerMarkup(record),
    sections: SECTIONS.map((section) => section(record)),
    colophon: `Written by pluralllm ${record.environment.version} from the record of the run (result.json).`,
  });
}
