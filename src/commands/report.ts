import { comparisonMarkdown, comparisonTable } from '../report/table.ts';
import { readRecord, writeReport } from '../report/write.ts';
import { defineCommand } from './command.ts';

export const reportCommand = defineCommand({
  usage: 'report <run>',
  describe: 'write the report of a finished run again, and print its comparison table',
  options: (parser) =>
    parser
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('markdown', { type: 'boolean', default: false, describe: 'print the table as Markdown' })
      .example('$0 report runs/quickstart', ''),
  run: async (flags, terminal) => {
    const record = readRecord(flags.run);
    const report = await writeReport(flags.run, record);
    terminal.event({ type: 'report', report, methods: record.methods });
    terminal.print(flags.markdown ? comparisonMarkdown(record) : comparisonTable(record, terminal.width));
    if (!flags.markdown) terminal.print(`\nReport: ${report}`);
  },
});
