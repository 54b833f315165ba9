import { checkAddress } from '../../client/join.ts';
import { KeeperHome } from '../../client/sharding/keeper-home.ts';
import { joinAsKeeper } from '../../client/sharding/keeper-join.ts';
import { parseKeepers } from '../../client/sharding/seats.ts';
import { readFileText } from '../../core/files.ts';
import { decodeInvitation } from '../../wire/invitation.ts';
import { defineCommand } from '../command.ts';
import { connect } from '../group/connect.ts';
import { withFolder } from '../group/folder.ts';
import { interruptible } from '../interrupt.ts';
import { KEEPER_FOLDER } from './folder.ts';

/** A person waits for the answer. */
const PATIENCE_MS = 15_000;

export const joinCommand = defineCommand({
  usage: 'join <folder> <invitation>',
  describe:
    'take a seat in a sharded run: the aggregator says which stage this keeper has, for the whole run',
  options: (parser) =>
    withFolder(parser, KEEPER_FOLDER)
      .positional('invitation', {
        type: 'string',
        demandOption: true,
        describe: 'the word that "aggregator invite --keeper" printed',
      })
      .option('ca', {
        type: 'string',
        describe: "PEM file with the certificate that the aggregator's is from",
      })
      .option('keepers', {
        type: 'string',
        describe:
          'file with the public keys of all keepers, one a line, agreed upon without the aggregator; no others are accepted',
      })
      .option('insecure-http', {
        type: 'boolean',
        default: false,
        describe: 'allow an address without TLS on another machine',
      })
      .example('$0 keeper join vault pluralllm-invitation-1.eyJ1...', ''),
  run: async (flags, terminal) => {
    const { folder } = flags;
    const home = new KeeperHome(folder);
    const invitation = decodeInvitation(flags.invitation);
    checkAddress(invitation.url, flags.insecureHttp);
    const release = home.lock();
    const ca = flags.ca === undefined ? null : readFileText(flags.ca);
    const keepers =
      flags.keepers === undefined ? null : parseKeepers(readFileText(flags.keepers), flags.keepers);
    const { signal } = interruptible();
    const options = { patienceMs: PATIENCE_MS, signal, terminal };
    const { api, close } = connect(home.identity(), { ...invitation, ca }, options);
    try {
      const { run, stage, standby } = await joinAsKeeper({ home, invitation, api, ca, keepers });
      terminal.event({ type: 'joined', folder, run, stage, standby });
      const part = standby ? `stands by for stage ${stage}` : `keeps stage ${stage}`;
      terminal.print(`This keeper ${part} of the model of run "${run}", and no other stage.`);
      terminal.print(
        `Next: pluralllm keeper serve ${folder}   (until the run, and all predictions, are over)`,
      );
    } finally {
      close();
      release();
    }
  },
});
