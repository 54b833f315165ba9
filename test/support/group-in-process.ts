import type { AggregatorApi } from '../../src/client/api.ts';
import type { GroupEvent } from '../../src/client/group-events.ts';
import { GroupHome } from '../../src/client/home.ts';
import { joinRun } from '../../src/client/join.ts';
import { openLocalWork } from '../../src/client/local-training.ts';
import { readOwnAnswers } from '../../src/client/own-answers.ts';
import { Participant } from '../../src/client/participate.ts';
import type { Identity } from '../../src/wire/identity.ts';
import type { Invitation } from '../../src/wire/invitation.ts';
import { patient } from './replicas.ts';

const warn = () => undefined;

/** Makes a group's folder with the answers of a group of the shipped survey. */
export async function groupHome(folder: string, group: string): Promise<GroupHome> {
  const { survey, groupId } = await readOwnAnswers('nonvoters', group, warn);
  const home = new GroupHome(folder);
  home.create(survey, groupId);
  return home;
}

export interface InProcess {
  readonly home: GroupHome;
  readonly group: string;
  readonly invitation: Invitation;
  readonly emit: (event: GroupEvent) => void;
  readonly apiOf: (identity: Identity) => AggregatorApi;
}

/** Joins a run and takes part until it is over, with real training, in this process. */
export async function takePart({ home, group, invitation, emit, apiOf }: InProcess): Promise<void> {
  const api = apiOf(home.identity());
  const known = { peers: null, leastGroups: 1 };
  const files = { ca: null, featuresPath: null };
  const { definition } = await joinRun({ home, invitation, api, group, ...files, ...known, warn });
  const answers = home.answers();
  const work = await openLocalWork({ definition, group, answers, featuresPath: null, device: 'cpu', warn });
  const { aggregatorKey } = invitation;
  const common = { api, retry: patient, work, definition, aggregatorKey, tellScores: true };
  try {
    const who = { group, identity: home.identity(), leastGroups: 1, knownPeers: null };
    await new Participant({ ...common, ...who, store: home, emit }).watch();
  } finally {
    await work.close();
  }
}
