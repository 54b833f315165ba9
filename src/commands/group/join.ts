import { GroupHome } from '../../client/home.ts';
import { checkAddress, joinRun, nameIn } from '../../client/join.ts';
import { parsePeers } from '../../client/peers-file.ts';
import { readFileText } from '../../core/files.ts';
import type { Protection } from '../../privacy/protection.ts';
import { decodeInvitation } from '../../wire/invitation.ts';
import { defineCommand } from '../command.ts';
import { interruptible } from '../interrupt.ts';
import type { Terminal } from '../terminal.ts';
import { connect } from './connect.ts';
import { withFolder } from './folder.ts';

/** A person waits for the answer. */
const PATIENCE_MS = 15_000;

/** What a group should know before its first round. */
function tellProtection(terminal: Terminal, { reveals, guarantee }: Protection): void {
  terminal.print(
    reveals === 'sum'
      ? 'The aggregator sees nothing but the sum of the updates of a round.'
      : 'The aggregator sees every update in clear.',
  );
  if (guarantee === null) return;
  const { epsilons, delta } = guarantee;
  terminal.print(
    `All rounds together spend epsilon ${epsilons.at(-1)!.toPrecision(3)} at delta ${delta} of its privacy; "group budget" says what is left.`,
  );
}

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
      .option('peers', {
        type: 'string',
        describe:
          'file with the keys of all groups of the run, agreed upon without the aggregator; no others are accepted',
      })
      .option('least-groups', {
        type: 'number',
        default: 1,
        describe: 'fewest groups to hide an update among, where the run hides updates and asks for fewer',
      })
      .option('without-noise', {
        type: 'boolean',
        default: false,
        describe: 'join a run without noise although the group has a privacy budget ("group budget")',
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
    const peers = flags.peers === undefined ? null : parsePeers(readFileText(flags.peers), flags.peers);
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
        peers,
        leastGroups: flags.leastGroups,
        withoutNoise: flags.withoutNoise,
        onProtection: (protection) => tellProtection(terminal, protection),
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
