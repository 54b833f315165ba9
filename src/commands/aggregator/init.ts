import { resolve } from 'node:path';
import { PluralError } from '../../core/errors.ts';
import { readFileText } from '../../core/files.ts';
import { defineCommand } from '../command.ts';

/** Both files or none; read once, so that a wrong path shows now. Errors: USAGE, FILE_NOT_FOUND. */
function tlsOf(cert: string | undefined, key: string | undefined): { cert: string; key: string } | null {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) {
    throw new PluralError('USAGE', 'TLS needs both --tls-cert and --tls-key', {
      hint: 'Give both PEM files, or neither.',
    });
  }
  for (const path of [cert, key]) readFileText(path);
  return { cert: resolve(cert), key: resolve(key) };
}

export const initCommand = defineCommand({
  usage: 'init <folder>',
  describe: 'make the folder of a new aggregator: its keys, its settings, its database',
  options: (parser) =>
    parser
      .positional('folder', { type: 'string', demandOption: true, describe: 'a new folder' })
      .option('host', { type: 'string', default: '127.0.0.1', describe: 'address to listen on' })
      .option('port', { type: 'number', default: 8790, describe: 'port to listen on' })
      .option('public-url', { type: 'string', describe: 'address that groups reach it by' })
      .option('tls-cert', { type: 'string', describe: 'PEM file of the certificate (with its chain)' })
      .option('tls-key', { type: 'string', describe: "PEM file of the certificate's key" })
      .option('insecure-http', {
        type: 'boolean',
        default: false,
        describe: 'allow plain HTTP beyond loopback: a proxy in front does TLS',
      })
      .option('database', { type: 'string', describe: 'PostgreSQL URL, instead of the database inside' })
      .example('$0 aggregator init agg', 'for this machine')
      .example('$0 aggregator init agg --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem', ''),
  run: async (flags, terminal) => {
    const { folder, host, port, tlsCert, tlsKey } = flags;
    // The server's libraries are loaded by the commands that need them.
    const { initAggregator } = await import('../../server/init.ts');
    terminal.note('Making keys and database...');
    const { publicKey } = await initAggregator(folder, {
      listen: { host, port },
      publicUrl: flags.publicUrl ?? null,
      tls: tlsOf(tlsCert, tlsKey),
      insecureHttp: flags.insecureHttp,
      database: flags.database ?? null,
    });
    terminal.event({ type: 'aggregator', folder, publicKey });
    terminal.print(`Aggregator in ${folder}, public key ${publicKey}`);
    terminal.print('Only its owner may read identity.key and admin.key: keep a copy in a safe place.');
    terminal.print(`Next: pluralllm aggregator serve ${folder}`);
  },
});
