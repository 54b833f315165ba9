import { expect, test } from 'vitest';
import { type Carried, goesBetween, onlyNewestOf } from '../../src/server/relay/carried.ts';
import { Mailbox } from '../../src/server/relay/mailbox.ts';
import { FRAME_KINDS } from '../../src/wire/shard-frame.ts';

// What a relay carries between whom, and what of it waits for who is away.

test('stages go between those of one stage, shares between those of two, and nothing from group to group', () => {
  for (const kind of [...FRAME_KINDS, 'hello', 'welcome'] as const) {
    expect(goesBetween(kind, 1, 1), kind).toBe(kind !== 'share');
    expect(goesBetween(kind, 0, 2), kind).toBe(kind !== 'memory');
    const isGroups = kind !== 'share' && kind !== 'memory';
    expect(goesBetween(kind, null, 0), kind).toBe(isGroups);
    expect(goesBetween(kind, 0, null), kind).toBe(isGroups);
    expect(goesBetween(kind, null, null), kind).toBe(false);
  }
  // Who holds a stage shows to all others who hold one who knows it.
  const pairs = [
    [1, 1],
    [0, 2],
    [null, 0],
    [0, null],
    [null, null],
  ] as const;
  expect(pairs.map(([from, to]) => goesBetween('vouched', from, to))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('of stages, greetings, and shares of one stage the newest of a sender waits; of all else everything', () => {
  const only = (kind: Carried['kind'], boundary = 0) => onlyNewestOf({ kind, boundary } as Carried);
  expect(FRAME_KINDS.filter((kind) => only(kind) === null)).toEqual([
    'forward',
    'backward',
    'query',
    'probe',
  ]);
  const mailbox = new Mailbox();
  const put = (content: number, kind: Carried['kind'], boundary = 0, from = 'ann') =>
    mailbox.put(Uint8Array.of(content), from, only(kind, boundary));
  put(1, 'share', 0);
  put(2, 'share', 1);
  put(3, 'memory');
  put(4, 'share', 0);
  put(5, 'share', 0, 'ben');
  put(6, 'memory');
  put(7, 'forward');
  put(8, 'forward');
  expect(mailbox.after(0, 1000).frames.map(([content]) => content)).toEqual([2, 4, 5, 6, 7, 8]);
});
