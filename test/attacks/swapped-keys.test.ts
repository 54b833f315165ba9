import { describe, expect, test } from 'vitest';
import { GroupMemory } from '../../src/client/group-memory.ts';
import { type GroupRecord, type GroupStore, newRecord } from '../../src/client/group-record.ts';
import type { ParticipantOptions } from '../../src/client/participation.ts';
import { Peers } from '../../src/client/peers.ts';
import { bytesFrom } from '../../src/core/bytes.ts';
import { Heard } from '../../src/privacy/mask/heard.ts';
import type { Advert } from '../../src/privacy/mask/messages.ts';

import { newGroup } from '../../src/round/group.ts';
import { fakeDefinition } from '../client/fake-aggregator.ts';
import {
  Cast,
  Credulous,
  codeOf,
  confidedBy,
  type HeardClass,
  identityFor,
  namesOf,
  readWith,
} from '../support/attacks.ts';

/** The aggregator stands in the middle: it gives the victim its own keys as those of all others, and answers in their place. */

const GROUPS = namesOf(4);
const [VICTIM = '', ...OTHERS] = GROUPS;

/** Keys without signatures, as in an implementation in wide use. */
class Unsigned extends Heard {
  protected override checkAdvert(): void {}
}

const ANYBODY = { least: 1, trusts: () => true };

interface Attack {
  readonly victim?: HeardClass;
  readonly peers?: { least: number; trusts(group: string, key: string): boolean };
  /** What the attacker changes in the keys of its impostors. */
  readonly dress?: (advert: Advert) => Advert;
}

/** The update that the attacker reads, or the code of the error with which the victim turns away. */
function attack({ victim = Heard, peers = ANYBODY, dress = (advert) => advert }: Attack) {
  const cast = new Cast(GROUPS, {
    heard: (group) => (group === VICTIM ? victim : Credulous),
    peers: () => peers,
    salt: (group) => (group === VICTIM ? '' : 'impostor'),
  });
  const adverts = cast.adverts().map((advert) => (advert.group === VICTIM ? advert : dress(advert)));
  const code = codeOf(() => cast.collect(adverts));
  if (code !== null) return { code, sealed: cast.shares.get(VICTIM)?.sealed ?? [], words: null };
  const { self, mask } = confidedBy(cast, OTHERS, VICTIM);
  return { code, words: readWith(cast, VICTIM, self, mask) };
}

const REFUSED = { code: 'AGGREGATOR_UNTRUSTED', sealed: [], words: null };
const READ = { code: null, words: new Cast(GROUPS).clearWords(VICTIM) };

const genuine = (group: string) => identityFor(group).publicKey;
/** Under the name and identity of the group itself, which did not sign them. */
const asGenuine = (advert: Advert): Advert => ({ ...advert, identity: bytesFrom(genuine(advert.group)) });

/** What a group remembers, in memory. */
function memoryOf(group: string): GroupMemory {
  let record: GroupRecord = newRecord(newGroup(group));
  const store = { loadRecord: () => record, saveRecord: (next: GroupRecord) => (record = next) };
  return new GroupMemory(store as unknown as GroupStore);
}

function peersWith(memory: GroupMemory, knownPeers: ParticipantOptions['knownPeers']): Peers {
  const identity = identityFor(VICTIM);
  const definition = fakeDefinition(1, 1);
  const work = { protection: { trustees: [] } };
  return new Peers({ knownPeers, leastGroups: 1, group: VICTIM, identity, definition, work }, memory);
}

const closed = () =>
  peersWith(
    memoryOf(VICTIM),
    OTHERS.map((name) => [name, genuine(name)] as const),
  );

describe('keys that their group did not sign', () => {
  test('against a group that asks for no signatures, the aggregator alone reads its update before any sum', () => {
    expect(attack({ victim: Unsigned, dress: asGenuine })).toEqual(READ);
  });

  test('ours seals nothing for them', () => {
    expect(attack({ dress: asGenuine })).toEqual(REFUSED);
  });

  test.each(['cipherKey', 'maskKey'] as const)(
    'ours sees it where only the %s of one group is another',
    (key) => {
      const honest = new Cast(GROUPS);
      const swapped = honest
        .adverts()
        .map((advert) =>
          advert.group === OTHERS[0] ? { ...advert, [key]: bytesFrom(identityFor('own').publicKey) } : advert,
        );
      expect(codeOf(() => honest.share(swapped))).toBe('AGGREGATOR_UNTRUSTED');
    },
  );
});

describe('keys signed by identities that the aggregator made up', () => {
  test('against a group that believes any identity, the aggregator alone reads its update', () => {
    expect(attack({ peers: ANYBODY })).toEqual(READ);
  });

  test('a group with a list of its peers seals nothing for them', () => {
    expect(attack({ peers: closed() })).toEqual(REFUSED);
  });

  test('a group with a list seals nothing for the true key of one peer under the name of another', () => {
    const exchanged = new Map(OTHERS.map((name, index) => [name, OTHERS[(index + 1) % OTHERS.length]!]));
    const peers = closed();
    expect(OTHERS.filter((name) => peers.trusts(name, genuine(exchanged.get(name)!)))).toEqual([]);
    expect(OTHERS.filter((name) => peers.trusts(name, genuine(name)))).toEqual(OTHERS);
    expect(peers.trusts('zz', genuine(OTHERS[0]!))).toBe(false);
  });

  test('a group without a list is read in its first round: trust on first use protects no earlier', () => {
    expect(attack({ peers: peersWith(memoryOf(VICTIM), null) })).toEqual(READ);
  });

  test('a group without a list that was in one honest round seals nothing for them, also after a restart', () => {
    const memory = memoryOf(VICTIM);
    const peers = peersWith(memory, null);
    expect(OTHERS.every((name) => peers.trusts(name, genuine(name)))).toBe(true);
    peers.keep();
    expect(attack({ peers })).toEqual(REFUSED);
    expect(attack({ peers: peersWith(memory, null) })).toEqual(REFUSED);
  });

  test('nor is its own name believed with another key', () => {
    for (const peers of [closed(), peersWith(memoryOf(VICTIM), null)]) {
      expect(peers.trusts(VICTIM, identityFor(VICTIM, 'impostor').publicKey)).toBe(false);
    }
  });
});
