import { forgetAddress, noteAddress } from '../../server/address.ts';
import { defineCommand } from '../command.ts';
import { interruptible } from '../interrupt.ts';

export const serveCommand = defineCommand({
  usage: 'serve <folder>',
  describe: 'run the aggregator of a folder, until Ctrl-C',
  options: (parser) =>
    parser
      .positional('folder', { type: 'string', demandOption: true, describe: 'folder that "init" made' })
      .option('host', { type: 'string', describe: 'replaces listen.host of the settings' })
      .option('port', { type: 'number', describe: 'replaces listen.port; 0 takes a free port' })
      .option('schema', { type: 'string', describe: 'schema in PostgreSQL (default: pluralllm)' })
      .option('log-level', {
        choices: ['error', 'warn', 'info', 'debug', 'silent'] as const,
        default: 'warn' as const,
        describe: 'what goes to standard error, as JSON lines',
      })
      .example('$0 aggregator serve agg', 'with the database inside')
      .example('DATABASE_URL=postgres://... $0 aggregator serve agg', 'one of several replicas'),
  run: async (flags, terminal) => {
    const { folder, host, port, schema, logLevel } = flags;
    // The server's libraries are loaded by the commands that need them.
    const { serve } = await import('../../server/serve.ts');
    const { signal } = interruptible();
    const databaseUrl = process.env['DATABASE_URL'] ?? null;
    const { url, publicKey, close } = await serve({ folder, databaseUrl, schema, host, port, logLevel });
    noteAddress(folder, url);
    terminal.event({ type: 'listening', url, publicKey });
    terminal.print(`Listening on ${url}; the status page is there too.`);
    terminal.print(`Next: pluralllm aggregator start ${folder} configs/quickstart.yaml`);
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    terminal.note('Stopping; what was acknowledged is kept.');
    forgetAddress(folder, url);
    await close();
  },
});
