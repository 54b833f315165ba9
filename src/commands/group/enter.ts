import type { Argv } from 'yargs';
import { GroupHome } from '../../client/home.ts';
import { checkAddress, joinRun, nameIn } from '../../client/join.ts';
import { parsePeers } from '../../client/peers-file.ts';
import { readReadersKey } from '../../client/readers-key.ts';
import { parseKeepers } from '../../client/sharding/seats.ts';
import { readFileText } from '../../core/files.ts';
import type { Protection } from '../../privacy/protection.ts';
import { decodeInvitation } from '../../wire/invitation.ts';
import type { CommonFlags } from '../command.ts';
import { interruptible } from '../interrupt.ts';
import type { Terminal } from '../terminal.ts';
import { connect } from './connect.ts';
import { withFolder } from './folder.ts';

/** A person waits for the answer. */
const PATIENCE_MS = 15_000;

/** The options of the commands that join a run. */
export function entering(parser: Argv<CommonFlags>, folder?: string) {
  return withFolder(parser, folder)
    .positional('invitation', {
      type: 'string',
      demandOption: true,
      describe: 'the word that "aggregator invite" printed',
    })
    .option('ca', {
      type: 'string',
      describe: "PEM file with the certificate that the aggregator's is from",
    })
    .option('peers', {
      type: 'string',
      describe:
        'file with the keys of all groups of the run, agreed upon without the aggregator; no others are accepted',
    })
    .option('readers-key', {
      type: 'string',
      describe:
        'file with the key that the groups share where the aggregator holds ciphertext ("group readers-key")',
    })
    .option('least-groups', {
      type: 'number',
      default: 1,
      describe: 'fewest groups to hide an update among, where the run hides updates and asks for fewer',
    })
    .option('insecure-http', {
      type: 'boolean',
      default: false,
      describe: 'allow an address without TLS on another machine',
    });
}

export interface Entering {
  readonly folder: string;
  readonly invitation: string;
  /** What it wants to be called in the run; undefined for what the invitation or its answers say. */
  readonly name: string | undefined;
  readonly ca: string | undefined;
  readonly features: string | undefined;
  readonly peers: string | undefined;
  readonly keepers: string | undefined;
  readonly readersKey: string | undefined;
  readonly leastGroups: number;
  readonly withoutNoise: boolean;
  readonly acceptCommittee: boolean;
  readonly insecureHttp: boolean;
  readonly onProtection: (protection: Protection) => void;
}

/** Joins a run from a folder, and says so to machines. */
export async function enterRun(flags: Entering, terminal: Terminal): Promise<{ run: string; group: string }> {
  const home = new GroupHome(flags.folder);
  const invitation = decodeInvitation(flags.invitation);
  checkAddress(invitation.url, flags.insecureHttp);
  const release = home.lock();
  const ca = flags.ca === undefined ? null : readFileText(flags.ca);
  const peers = flags.peers === undefined ? null : parsePeers(readFileText(flags.peers), flags.peers);
  const keepers =
    flags.keepers === undefined ? null : parseKeepers(readFileText(flags.keepers), flags.keepers);
  const readersKey = flags.readersKey === undefined ? null : readReadersKey(flags.readersKey);
  const { signal } = interruptible();
  const options = { patienceMs: PATIENCE_MS, signal, terminal };
  const { api, close } = connect(home.identity(), { ...invitation, ca }, options);
  try {
    const own = home.answersOrNull()?.groups[0]?.id ?? null;
    const group = nameIn(invitation, flags.name, own);
    const { run } = await joinRun({
      home,
      invitation,
      api,
      group,
      ca,
      featuresPath: flags.features ?? null,
      peers,
      keepers,
      readersKey,
      leastGroups: flags.leastGroups,
      withoutNoise: flags.withoutNoise,
      acceptCommittee: flags.acceptCommittee,
      onProtection: flags.onProtection,
      warn: (message) => terminal.note(`warning: ${message}`),
    });
    terminal.event({ type: 'joined', folder: flags.folder, run, group });
    return { run, group };
  } finally {
    close();
    release();
  }
}
