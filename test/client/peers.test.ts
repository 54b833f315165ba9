import { describe, expect, test } from 'vitest';
import { GroupMemory } from '../../src/client/group-memory.ts';
import { groupRecordSchema } from '../../src/client/group-record.ts';
import { Peers } from '../../src/client/peers.ts';
import { sha256 } from '../../src/core/digest.ts';
import { FakeAggregator } from './fake-aggregator.ts';
import { type FakeGroupOptions, fakeGroup, identityOfFake, MemoryStore } from './fake-group.ts';

const OWN = 'me';
const ownKey = identityOfFake(OWN).publicKey;
const keyOf = (group: string) => sha256('key of', group);
const ODD = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', ' '];

/** The rules of a group with its memory, as a process of it has them. */
function opened(options: FakeGroupOptions & { readonly quorum?: number } = {}, store = new MemoryStore(OWN)) {
  const { knownPeers = null, leastGroups = 1, quorum = 1 } = options;
  const group = fakeGroup(new FakeAggregator({ parameters: 1, rounds: 1, quorum }), OWN);
  const memory = new GroupMemory(store);
  const { identity } = group;
  return {
    store,
    memory,
    peers: new Peers({ ...group.options(), knownPeers, leastGroups, identity }, memory),
  };
}

describe('where no list is given', () => {
  test('a key is believed when it is first seen, and no other after it', () => {
    const { peers } = opened();
    for (const group of ['a', ...ODD]) {
      expect(peers.trusts(group, keyOf(group))).toBe(true);
      peers.keep();
      expect(peers.trusts(group, keyOf('x'))).toBe(false);
      expect(peers.trusts(group, keyOf(group))).toBe(true);
    }
  });

  test('a key in a list that was refused is not believed: another may come before one is kept', () => {
    const { peers, memory } = opened();
    expect(peers.trusts('a', keyOf('x'))).toBe(true);
    expect(peers.trusts('a', keyOf('a'))).toBe(true);
    peers.keep();
    expect(peers.trusts('a', keyOf('x'))).toBe(false);
    expect(new Map(memory.record.peers).get('a')).toBe(keyOf('a'));
  });

  test('what was seen is kept, and holds in the next process', () => {
    const { peers, memory, store } = opened();
    for (const group of ['b', 'a', '__proto__', 'constructor']) peers.trusts(group, keyOf(group));
    peers.keep();
    expect(memory.record.peers.map(([group]) => group)).toEqual(['__proto__', 'a', 'b', 'constructor', OWN]);
    expect(groupRecordSchema.parse(store.loadRecord())).toEqual(memory.record);
    const next = opened({}, store).peers;
    for (const group of ['b', 'a', '__proto__', 'constructor']) {
      expect(next.trusts(group, keyOf('x')), group).toBe(false);
      expect(next.trusts(group, keyOf(group)), group).toBe(true);
    }
  });

  test('what was seen and not kept is not known in the next process', () => {
    const { peers, store } = opened();
    peers.trusts('a', keyOf('a'));
    expect(opened({}, store).peers.trusts('a', keyOf('x'))).toBe(true);
  });

  test('keeping what is known already writes nothing', () => {
    const { peers, store } = opened();
    peers.trusts('a', keyOf('a'));
    peers.keep();
    const { length } = store.writes;
    peers.trusts('a', keyOf('a'));
    peers.keep();
    expect(store.writes).toHaveLength(length);
  });

  test("under this group's own name only its own key is believed", () => {
    const { peers } = opened();
    expect(peers.trusts(OWN, keyOf(OWN))).toBe(false);
    expect(peers.trusts(OWN, ownKey)).toBe(true);
  });
});

describe('where a list is given', () => {
  const knownPeers = [...ODD, 'a'].map((group) => [group, keyOf(group)] as const);

  test('its keys are believed and no others, at no time', () => {
    const { peers } = opened({ knownPeers });
    for (const [group, key] of knownPeers) {
      expect(peers.trusts(group, keyOf('x')), group).toBe(false);
      expect(peers.trusts(group, key), group).toBe(true);
    }
    for (const stranger of ['b', 'valueOf', 'prototype']) {
      expect(peers.trusts(stranger, keyOf(stranger)), stranger).toBe(false);
      expect(peers.trusts(stranger, keyOf(stranger)), stranger).toBe(false);
    }
  });

  test('this group needs no line in it, and a line with another key does not count', () => {
    expect(opened({ knownPeers }).peers.trusts(OWN, ownKey)).toBe(true);
    const { peers } = opened({ knownPeers: [[OWN, keyOf(OWN)]] });
    expect([peers.trusts(OWN, keyOf(OWN)), peers.trusts(OWN, ownKey)]).toEqual([false, true]);
  });

  test('what was seen before it does not count, and is not overwritten by it', () => {
    const { peers: before, store } = opened();
    before.trusts('b', keyOf('b'));
    before.keep();
    const { peers, memory } = opened({ knownPeers }, store);
    const { peers: kept } = memory.record;
    expect(peers.trusts('b', keyOf('b'))).toBe(false);
    peers.keep();
    expect(memory.record.peers).toEqual(kept);
  });

  test('that is empty admits nobody', () => {
    expect(opened({ knownPeers: [] }).peers.trusts('a', keyOf('a'))).toBe(false);
  });
});

test.each([
  [7, 3, 7],
  [1, 3, 3],
  [1, 67, 67],
])(
  'of %d that the group wants and a quorum of %d, the fewest groups are %d',
  (leastGroups, quorum, least) => {
    expect(opened({ leastGroups, quorum }).peers.least).toBe(least);
  },
);
