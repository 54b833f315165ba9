import { writeFileAtomic } from '../../core/files.ts';
import { defineCommand } from '../command.ts';
import { reach, runNamed, withAggregator } from './reach.ts';

export const reportCommand = defineCommand({
  usage: 'report <aggregator> [run]',
  describe: 'write the report of a run as one HTML page',
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', describe: 'name of the run (default: the only one)' })
      .option('output', { type: 'string', describe: 'HTML file (default: <run>.html)' })
      .example('$0 aggregator report agg quickstart --output report.html', ''),
  run: async (flags, terminal) => {
    const status = await reach(flags, async ({ api }) => api.status(await runNamed(api, flags.run)));
    // The plot library is loaded when there is something to draw.
    const { renderDeployed } = await import('../../report/deployed/render.ts');
    const output = flags.output ?? `${status.run}.html`;
    writeFileAtomic(output, renderDeployed(status));
    terminal.event({ type: 'report', run: status.run, report: output });
    terminal.print(`Report: ${output}`);
  },
});
