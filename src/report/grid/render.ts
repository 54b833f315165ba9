import { renderPage } from '../page.ts';
import { curvesSection } from './curves.ts';
import { headerMarkup } from './header.ts';
import type { GridRecords } from './records.ts';
import { comparisonSection, costSection, groupsSection, provenanceSection } from './sections.ts';
import type { GridSummary } from './summary.ts';
import { settingViews } from './view.ts';

/** The report of a grid as one self-contained HTML page. The same records give the same bytes. */
export function renderGrid(records: GridRecords, summary: GridSummary): string {
  const views = settingViews(records, summary);
  const version = summary.cells.at(-1)?.version ?? '';
  return renderPage({
    title: records.name,
    header: headerMarkup(views, records),
    sections: [
      comparisonSection(views, records),
      curvesSection(views),
      groupsSection(views),
      costSection(views),
      provenanceSection(views, records, summary),
    ],
    colophon: `Written by pluralllm ${version} from the records of ${summary.cells.length} runs.`,
  });
}
