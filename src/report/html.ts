import { html, trusted } from './markup.ts';
import type { RunRecord } from './record.ts';
import { comparisonSection } from './sections/comparison.ts';
import { convergenceSection } from './sections/convergence.ts';
import { curvesSection } from './sections/curves.ts';
import { fairnessSection } from './sections/fairness.ts';
import { groupsSection } from './sections/groups.ts';
import { headerMarkup } from './sections/header.ts';
import { type Section, sectionMarkup } from './sections/parts.ts';
import { privacySection } from './sections/privacy.ts';
import { dataSection, environmentSection } from './sections/provenance.ts';
import { timeSection } from './sections/time.ts';
import { styleSheet } from './style.ts';

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

/** Nothing may be fetched and no script may run, whatever a label of the data says. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/**
 * The report of a run as one self-contained HTML page: no script, no external resource.
 * The same record gives the same bytes.
 */
export function renderReport(record: RunRecord): string {
  const sections = SECTIONS.map((section) => section(record));
  const links = sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`);
  return `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${record.name} – pluralllm report</title>
<style>${trusted(styleSheet())}</style>
</head>
<body>
<a class="skip" href="#report">Skip to the report</a>
<div class="page">
${headerMarkup(record)}
<nav class="contents" aria-label="Contents"><ul>${links}</ul></nav>
<main id="report">
${sections.map(sectionMarkup)}
</main>
<footer class="colophon">Written by pluralllm ${record.environment.version} from the record of the run (result.json). This page
holds everything it shows: it loads nothing and runs no script.</footer>
</div>
</body>
</html>`.source
  }\n`;
}
