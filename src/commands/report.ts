import { join } from 'node:path';
import { PluralError } from '../core/errors.ts';
import { summariseGrid } from '../report/grid/summary.ts';
import { gridTable } from '../report/grid/table.ts';
import { SUMMARY_FILE, writeGrid } from '../report/grid/write.ts';
import { comparisonMarkdown, comparisonTable } from '../report/table.ts';
import { readRecord, writeReport } from '../report/write.ts';
import { readGridRecords } from '../simulate/grid/run-grid.ts';
import { isGrid } from '../simulate/run-folder.ts';
import { defineCommand } from './command.ts';
import type { Terminal } from './terminal.ts';

async function reportGrid(folder: string, markdown: boolean, terminal: Terminal): Promise<void> {
  if (markdown) throw new PluralError('USAGE', 'the table of a grid is not printed as Markdown');
  const records = readGridRecords(folder);
  const summary = summariseGrid(records);
  const report = await writeGrid(folder, records, summary);
  terminal.event({ type: 'grid-result', path: join(folder, SUMMARY_FILE), report, summary });
  terminal.print(`${gridTable(records, summary, terminal.width)}\n\nReport: ${report}`);
}

export const reportCommand = defineCommand({
  usage: 'report <run>',
  describe: 'write the report of a finished run or grid again, and print its comparison table',
  options: (parser) =>
    parser
      .positional('run', { type: 'string', demandOption: true, describe: 'folder of a run or of a grid' })
      .option('markdown', { type: 'boolean', default: false, describe: 'print the table as Markdown' })
      .example('$0 report runs/quickstart', ''),
  run: async (flags, terminal) => {
    if (isGrid(flags.run)) return reportGrid(flags.run, flags.markdown, terminal);
    const record = readRecord(flags.run);
    const report = await writeReport(flags.run, record);
    terminal.event({ type: 'report', report, methods: record.methods });
    terminal.print(flags.markdown ? comparisonMarkdown(record) : comparisonTable(record, terminal.width));
    if (!flags.markdown) terminal.print(`\nReport: ${report}`);
  },
});
