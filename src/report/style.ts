import { paletteRules } from './palette.ts';

/** Width in px below which the page shows the narrow drawings. */
const NARROW = 760;

const PAGE = `
*, *::before, *::after { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 400 1.0625rem/1.6 system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
.page { max-width: 1100px; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem); }
p, ul.plain, dl { max-width: 44rem; }
p { margin: 0 0 1rem; text-wrap: pretty; }
a { color: var(--tone-federated); text-underline-offset: 0.18em; text-decoration-thickness: 1px; }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--tone-federated);
  outline-offset: 3px; }
pre, .digest { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
  font-size: 0.86em; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: 0.5rem 1rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

const HEADER = `
.masthead { padding-top: clamp(2rem, 6vw, 4.5rem); padding-bottom: 1rem; }
.kicker { margin: 0 0 1rem; color: var(--quiet); font-size: 0.9375rem; }
h1 { max-width: 25em; margin: 0 0 1.5rem; font-size: clamp(1.5rem, 1.1rem + 1.8vw, 2.25rem); line-height: 1.2;
  letter-spacing: -0.018em; font-weight: 650; text-wrap: balance; }
.dek { font-size: 1.125rem; color: var(--ink); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 10rem), 1fr)); gap: 0 1.5rem;
  max-width: none; margin: 2rem 0 0; padding: 0; }
.facts div { border-top: 2px solid var(--ink); padding: 0.75rem 0 1.25rem; }
.facts dt { color: var(--quiet); font-size: 0.875rem; line-height: 1.4; }
.facts dd { margin: 0.15rem 0 0; font-size: 1.5rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.01em; }
.facts dd small { display: block; margin-top: 0.25rem; font-size: 0.875rem; line-height: 1.4; font-weight: 400;
  letter-spacing: 0; color: var(--quiet); }
.contents { border-block: 1px solid var(--line); font-size: 0.9375rem; }
.contents ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; margin: 0; padding: 0.75rem 0; list-style: none; }
.contents a { color: inherit; text-decoration-color: var(--line); }
`;

const SECTIONS = `
section { padding-top: clamp(2.25rem, 5vw, 3.5rem); }
h2 { margin: 0 0 0.75rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -0.012em; font-weight: 650;
  text-wrap: balance; scroll-margin-top: 1rem; }
h3 { margin: 2rem 0 0.5rem; font-size: 1.0625rem; line-height: 1.4; font-weight: 650; }
figure { margin: 1.5rem 0 0; min-width: 0; }
figcaption { margin-bottom: 0.5rem; font-size: 0.9375rem; line-height: 1.5; color: var(--quiet); }
figcaption strong { display: block; color: var(--ink); font-size: 1.0625rem; font-weight: 650; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 2.5rem; }
.pair figure { display: grid; grid-template-rows: subgrid; grid-row: span 4; }
.pair .legend { align-content: start; }
.plot { display: block; width: 100%; height: auto; font-family: inherit; font-size: 13px; overflow: visible; }
.plot text { white-space: pre; }
.narrow { display: none; max-width: 34rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.15rem 1.25rem; max-width: none; margin: 0.75rem 0; padding: 0;
  list-style: none; font-size: 0.875rem; }
.legend li { display: inline-flex; align-items: center; gap: 0.5rem; }
.legend .figure { color: var(--quiet); }
.legend .figure:empty { display: none; }
.swatch { flex: none; }
@media not all and (min-width: ${NARROW}px) {
  .wide { display: none; }
  .narrow { display: block; }
}
`;

const TABLES = `
.scroll { position: relative; overflow-x: auto; margin: 1.25rem 0 1.5rem; }
table { border-collapse: collapse; font-size: 0.9375rem; line-height: 1.4; }
.full { width: 100%; }
caption { padding-bottom: 0.5rem; text-align: left; color: var(--quiet); font-size: 0.9375rem; }
th, td { padding: 0.55rem 0 0.55rem 1.5rem; text-align: right; vertical-align: baseline; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
thead th { border-bottom: 1.5px solid var(--ink); font-weight: 600; vertical-align: bottom; white-space: normal;
  text-wrap: balance; }
tbody th { font-weight: 400; white-space: normal; min-width: 15rem; }
tbody tr.leading > * { background: var(--raised); }
tbody tr.leading th { font-weight: 650; }
tbody th small, td small { display: block; color: var(--quiet); font-size: 0.8125rem; font-weight: 400;
  white-space: normal; }
td.best { font-weight: 700; }
.dot { margin-right: 0.4em; font-size: 0.5em; vertical-align: 0.3em; }
td.digest { white-space: normal; overflow-wrap: anywhere; }
.properties { table-layout: fixed; }
.properties th { color: var(--quiet); width: 12rem; min-width: 0; }
.properties td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.meter { display: block; width: 100%; min-width: 6rem; height: 0.75rem; }
td.bar { width: 45%; vertical-align: middle; }
.names { margin: 0; padding: 0; list-style: none; columns: 17rem; column-gap: 2rem; }
.note { font-size: 0.9375rem; color: var(--quiet); }
.terms { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem 2.5rem;
  max-width: none; margin: 1rem 0 1.5rem; }
.terms dt { font-weight: 650; }
.terms dd { margin: 0; }
.callout { max-width: 44rem; margin: 1.25rem 0; padding: 0.25rem 0 0.25rem 1.25rem; border-left: 3px solid var(--ink); }
.callout p:last-child { margin-bottom: 0; }
details { margin: 1rem 0; }
summary { cursor: pointer; font-size: 0.9375rem; }
pre { max-height: 30rem; overflow: auto; margin: 0.75rem 0; padding: 1rem 1.25rem; background: var(--raised);
  border: 1px solid var(--line); line-height: 1.5; tab-size: 2; user-select: all; -webkit-user-select: all; }
.colophon { margin-top: 4rem; padding-block: 1.25rem 3rem; border-top: 1px solid var(--line); font-size: 0.875rem;
  color: var(--quiet); }
@media (max-width: 900px) {
  :is(th, td):not(:first-child) { padding-left: 1rem; }
  td { white-space: normal; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }
  tbody th { min-width: 9rem; }
}
@media (max-width: 560px) {
  .properties th { width: 7.25rem; }
  .properties td { padding-left: 0.9rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .plot { font-size: 14.5px; }
  .tight :is(th, td):not(:first-child) { padding-left: 0.9rem; }
  .tight :is(th, td) { font-size: 0.875rem; }
  .tight tbody th { min-width: 7rem; }
  .compare, .compare :is(caption, tbody, th, td) { display: block; }
  .compare thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .compare tbody tr { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.4rem 0.75rem;
    padding: 0.75rem 0; border-bottom: 1px solid var(--line); }
  .compare tbody tr:first-child { border-top: 1.5px solid var(--ink); }
  .compare tbody tr.leading { padding-inline: 0.75rem; background: var(--raised); }
  .compare tbody th { grid-column: 1 / -1; padding: 0; border: 0; font-size: 1rem; }
  .compare td, .compare tr td:not(:first-child) { padding: 0; border: 0; text-align: left; white-space: normal;
    font-size: 0.9375rem; }
  .compare td::before { content: attr(data-title); display: block; color: var(--quiet); font-size: 0.75rem;
    font-weight: 400; }
}
`;

const PRINT = `
@media print {
  @page { margin: 16mm 14mm; }
  html { font-size: 9.5pt; }
  body { font-size: 1rem; background: none; }
  .page { max-width: none; padding: 0; }
  .contents, .skip, .numbers { display: none; }
  section { padding-top: 1.5rem; }
  h2, h3, figcaption, caption { break-after: avoid; }
  figure, tr, .facts div, .terms div, .callout { break-inside: avoid; }
  .wide { display: block; }
  .narrow { display: none; }
  .pair { grid-template-columns: 1fr 1fr; }
  .facts { grid-template-columns: repeat(5, 1fr); gap: 0 1rem; }
  .scroll { overflow: visible; }
  pre { max-height: none; white-space: pre-wrap; }
  .config::details-content { content-visibility: visible; block-size: auto; }
}
`;

/** The style sheet of the report: system fonts, light and dark by the reader's preference, light on paper. */
export function styleSheet(): string {
  const modes = `:root { ${paletteRules('light')} }
@media screen and (prefers-color-scheme: dark) { :root { ${paletteRules('dark')} } }
@media print { html { color-scheme: light; } }`;
  return [modes, PAGE, HEADER, SECTIONS, TABLES, PRINT]
    .join('\n')
    .replace(/\n{2,}/g, '\n')
    .trim();
}
