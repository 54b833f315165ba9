import { formatBytes } from '../../core/bytes.ts';
import { type Html, html } from '../markup.ts';
import type { RunRecord } from '../record.ts';
import { propertiesMarkup, type Section, tableMarkup } from './parts.ts';

function seenByAggregator({ protection, split }: RunRecord): Html {
  if (protection.reveals === 'rows') {
    return html`<div class="callout"><p><strong>The aggregator saw the update of every group in clear.</strong> The protection
“${protection.name}” reveals rows: each group’s update can be told apart and read. Answers did not leave the groups, but
updates can be inverted to learn about them. Treat this run as one in which the aggregator is trusted.</p></div>`;
  }
  return html`<div class="callout"><p><strong>The aggregator saw sums only.</strong> The protection “${protection.name}” reveals
the sum of the updates of a round and no single one. With ${split.trainingGroups.length} groups a sum still says
something about each; it says more the fewer groups take part, and the trained model itself is not hidden.</p></div>`;
}

function bytesTable({ bytes }: RunRecord): Html {
  const row = (name: string, ...figures: readonly string[]) => ({
    cells: [name, ...figures].map((content) => ({ content })),
  });
  return tableMarkup({
    caption: 'Bytes sent during federated training',
    head: ['', 'upload', 'download'],
    rows: [
      row(
        'one group, one round',
        formatBytes(bytes.uploadPerGroupPerRound),
        formatBytes(bytes.downloadPerGroupPerRound),
      ),
      row('all groups, whole run', formatBytes(bytes.uploadTotal), formatBytes(bytes.downloadTotal)),
      row('bytes per parameter', bytes.uploadPerParameter.toFixed(2), '–'),
    ],
    className: 'tight',
  });
}

/** What left the groups: who could read it, and how much it was. */
export function privacySection(record: RunRecord): Section {
  const body = html`${seenByAggregator(record)}
${propertiesMarkup('Protection and strategy', [
  ['Protection', record.protection.name],
  [
    'Reveals',
    record.protection.reveals === 'rows' ? 'rows: each update, in clear' : 'sum: the total of a round only',
  ],
  ['Strategy', record.strategy],
])}
<h3>Bytes sent</h3>
${bytesTable(record)}
<p class="note">An update of plain 32-bit floats takes 4.00 bytes per parameter; more is the price of the protection
and of framing, less means that values were rounded or left out.</p>`;
  return { id: 'privacy', title: 'What the aggregator saw', body };
}
