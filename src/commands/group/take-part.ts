import type { Argv } from 'yargs';
import { GroupHome } from '../../client/home.ts';
import { openWork } from '../../client/open-work.ts';
import { Participant, type RoundOutcome } from '../../client/participate.ts';
import { readersKeyFor } from '../../client/readers-key.ts';
import { DEVICES } from '../../training/device.ts';
import type { CommonFlags } from '../command.ts';
import { interruptible } from '../interrupt.ts';
import type { Terminal } from '../terminal.ts';
import { connect } from './connect.ts';
import { withFolder } from './folder.ts';
import { showGroup } from './progress.ts';

/** The options of the commands that take part in rounds. */
export function takingPart(parser: Argv<CommonFlags>) {
  return withFolder(parser)
    .option('scores', {
      type: 'boolean',
      default: true,
      describe: 'tell the aggregator how well each model predicts this group; --no-scores keeps it here',
    })
    .option('device', {
      choices: DEVICES,
      default: 'auto' as const,
      describe: 'where to train; only the CPU gives the bytes of a simulation',
    });
}

export interface TakingPart {
  readonly folder: string;
  readonly scores: boolean;
  readonly device: string;
  readonly patienceMs: number;
}

/** Opens a folder for this process alone, and takes part in rounds as `act` says. Ctrl-C leaves a folder that goes on. */
export async function takePart(
  { folder, scores: tellScores, device, patienceMs }: TakingPart,
  terminal: Terminal,
  act: (participant: Participant) => Promise<RoundOutcome>,
): Promise<RoundOutcome> {
  const home = new GroupHome(folder);
  const release = home.lock();
  const { signal } = interruptible();
  try {
    const membership = home.membership();
    const {
      definition,
      group,
      featuresPath,
      aggregatorKey,
      peers: knownPeers,
      keepers,
      leastGroups,
    } = membership;
    const emit = showGroup(terminal, membership);
    const warn = (message: string) => emit({ type: 'warning', message });
    const identity = home.identity();
    const { api, retry, close } = connect(identity, membership, { patienceMs, signal, terminal });
    const local = { definition, group, answers: home.answersOrNull(), featuresPath, device, warn };
    const work = await openWork(local, { api, identity, links: home.links, keepers, signal });
    const readersKey = readersKeyFor(definition, work.protection, home.readersKey());
    // A step of training can take long: the threads are told, not waited for.
    signal.addEventListener('abort', () => void work.close());
    const common = { api, retry, work, definition, aggregatorKey, group, identity, knownPeers, leastGroups };
    try {
      return await act(new Participant({ ...common, store: home, tellScores, readersKey, emit, signal }));
    } finally {
      await work.close();
      close();
    }
  } finally {
    release();
  }
}
