import { type Html, html, trusted } from './markup.ts';
import { type Section, sectionMarkup } from './sections/parts.ts';
import { styleSheet } from './style.ts';

/** Nothing may be fetched and no script may run, whatever a label of the data says. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** What a page is made of. */
export interface Page {
  readonly title: string;
  readonly header: Html;
  readonly sections: readonly Section[];
  /** Where it comes from. */
  readonly colophon: string;
}

/** A self-contained HTML page: no script, no external resource. The same parts give the same bytes. */
export function renderPage({ title, header, sections, colophon }: Page): string {
  const links = sections.map((section) => html`<li><a href="#${section.id}">${section.title}</a></li>`);
  return `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – pluralllm report</title>
<style>${trusted(styleSheet())}</style>
</head>
<body>
<a class="skip" href="#report">Skip to the report</a>
<div class="page">
${header}
<nav class="contents" aria-label="Contents"><ul>${links}</ul></nav>
<main id="report">
${sections.map(sectionMarkup)}
</main>
<footer class="colophon">${colophon} This page
holds everything it shows: it loads nothing and runs no script.</footer>
</div>
</body>
</html>`.source
  }\n`;
}
