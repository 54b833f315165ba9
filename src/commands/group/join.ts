import { GroupHome } from '../../client/home.ts';
import { checkAddress, joinRun, nameIn } from '../../client/join.ts';
import { readFileText } from '../../core/files.ts';
import { decodeInvitation } from '../../wire/invitation.ts';
import { defineCommand } from '../command.ts';
import { interruptible } from '../interrupt.ts';
import { connect } from './connect.ts';
import { withFolder } from './folder.ts';

/** A person waits for the answer. */
const PATIENCE_MS = 15_000;

export const joinCommand = defineCommand({
  usage: 'join <folder> <invitation>',
  describe: "take a group into a run, with the invitation of the run's aggregator",
  options: (parser) =>
    withFolder(parser)
      .positional('invitation', {
        type: 'string',
        demandOption: true,
        describe: 'the word that "aggregator invite" printed',
      })
      .option('group', {
        type: 'string',
        describe: "the group's name in the run (default: that of its answers)",
      })
      .option('ca', {
        type: 'string',
        describe: "PEM file with the certificate that the aggregator's is from",
      })
      .option('features', {
        type: 'string',
        describe: 'file of feature vectors, where the run takes them from a file',
      })
      .option('insecure-http', {
        type: 'boolean',
        default: false,
        describe: 'allow an address without TLS on another machine',
      })
      .example('$0 group join mine pluralllm-invitation-1.eyJ1...', ''),
  run: async (flags, terminal) => {
    const home = new GroupHome(flags.folder);
    const invitation = decodeInvitation(flags.invitation);
    checkAddress(invitation.url, flags.insecureHttp);
    const release = home.lock();
    const ca = flags.ca === undefined ? null : readFileText(flags.ca);
    const { signal } = interruptible();
    const options = { patienceMs: PATIENCE_MS, signal, terminal };
    const { api, close } = connect(home.identity(), { ...invitation, ca }, options);
    try {
      const group = nameIn(invitation, flags.group, home.answers().groups[0]!.id);
      const { run } = await joinRun({
        home,
        invitation,
        api,
        group,
        ca,
        featuresPath: flags.features ?? null,
        warn: (message) => terminal.note(`warning: ${message}`),
      });
      terminal.event({ type: 'joined', folder: flags.folder, run, group });
      terminal.print(`Group "${group}" takes part in run "${run}".`);
      terminal.print(`Next: pluralllm group watch ${flags.folder}   (all rounds)`);
      terminal.print(`  or: pluralllm group round ${flags.folder}   (one round)`);
    } finally {
      close();
      release();
    }
  },
});
