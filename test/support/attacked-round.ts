import {
  type Advert,
  keysMessage,
  rosterMessage,
  STEP,
  sharesMessage,
} from '../../src/privacy/mask/messages.ts';
import type { Update } from '../../src/wire/stages.ts';
import { AttackedClient, type MemoryFolder } from './attacked-client.ts';
import { Cast, namesOf } from './attacks.ts';

const GROUPS = namesOf(4);
export const [VICTIM = '', ...OTHERS] = GROUPS;

/** A client and three groups that do as they should, in one attempt of a round, up to the victim's shares. */
export async function sharedRound(train: () => Update, folder?: MemoryFolder, attempt = 1) {
  const client = new AttackedClient(VICTIM, train, folder);
  const cast = new Cast(GROUPS, { context: client.context(attempt) });
  await client.asked(STEP.keys, attempt);
  const keys = keysMessage.read(client.sentIn(STEP.keys, attempt)[0]!)!;
  const adverts: Advert[] = [{ group: VICTIM, ...keys }, ...cast.adverts(OTHERS)];
  client.show = () => rosterMessage.write({ adverts });
  await client.asked(STEP.shares, attempt);
  cast.share(adverts, OTHERS);
  cast.shares.set(VICTIM, sharesMessage.read(client.sentIn(STEP.shares, attempt)[0]!)!);
  const roster = cast.rosterOf(OTHERS[0]!);
  client.show = () => cast.deliveryFor(VICTIM, GROUPS, roster);
  return { client, cast, adverts, roster };
}
