import { initAggregator } from '../../server/init.ts';
import { defineCommand } from '../command.ts';

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
      .option('database', { type: 'string', describe: 'PostgreSQL URL, instead of the database inside' })
      .example('$0 aggregator init agg', 'for this machine')
      .example('$0 aggregator init agg --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem', ''),
  run: async (flags, terminal) => {
    const { folder, host, port, tlsCert, tlsKey } = flags;
    terminal.note('Making keys and database...');
    const { publicKey } = await initAggregator(folder, {
      listen: { host, port },
      publicUrl: flags.publicUrl ?? null,
      tls: tlsCert === undefined && tlsKey === undefined ? null : { cert: tlsCert ?? '', key: tlsKey ?? '' },
      database: flags.database ?? null,
    });
    terminal.event({ type: 'aggregator', folder, publicKey });
    terminal.print(`Aggregator in ${folder}, public key ${publicKey}`);
    terminal.print('Only its owner may read identity.key and admin.key: keep a copy in a safe place.');
    terminal.print(`Next: pluralllm aggregator serve ${folder}`);
  },
});
