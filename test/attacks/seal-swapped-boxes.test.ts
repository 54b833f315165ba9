import { describe, expect, test } from 'vitest';
import { Heard } from '../../src/privacy/seal/heard.ts';
import { STEP } from '../../src/privacy/seal/messages.ts';
import { packElement, type RingElement, zeroElement } from '../../src/privacy/seal/ring.ts';
import { openSealed } from '../../src/privacy/secure-sum/sealed-share.ts';
import { namesOf } from '../support/attacks.ts';
import { differenceOf, SealedCast, type SealedHeardClass, saysNothing } from '../support/sealed-attacks.ts';

/** The aggregator delivers boxes to whom they are not for: so that some members have no share of the victim's key. */

const GROUPS = namesOf(7);
const [VICTIM = '', ...OTHERS] = GROUPS;
const CORRUPT = OTHERS.slice(0, 2);
const SERVED = OTHERS.slice(2, 4);
const SWAPPED = OTHERS.slice(4);

/** A member that adds up what it can open, and says nothing of the rest. */
class Lenient extends Heard {
  override shareFrom(other: string): RingElement | null {
    return super.shareFrom(other) ?? zeroElement();
  }
}

/** Boxes under a key of the pair, whichever way they go. */
class Unrouted extends Heard {
  override sealKey(_: { from: string; to: string }, other: string): Uint8Array {
    return super.sealKey({ from: '', to: '' }, other);
  }
}

/** All are told the same lists and sign them. Two members have each other's box from the victim. */
function attack(heard: SealedHeardClass) {
  const cast = new SealedCast(GROUPS, { heard: () => heard });
  cast.share();
  const boxOf = (from: string, to: string) => {
    const other = SWAPPED[1 - SWAPPED.indexOf(to)];
    return cast.boxOf(from, from === VICTIM && other !== undefined && SWAPPED.includes(to) ? other : to);
  };
  for (const name of GROUPS) {
    cast.uploads.set(name, cast.ask(name, STEP.upload, cast.deliveryFor(name, { boxOf })));
  }
  const signatures = GROUPS.map((name) => cast.sign(name, GROUPS));
  const given = new Map(OTHERS.map((name) => [name, cast.reveal(name, signatures)]));
  const lootOf = (names: readonly string[], survivors: readonly string[]) =>
    new Map([
      ...CORRUPT.map((name) => [name, cast.confidedSum(name, survivors)] as const),
      ...names.flatMap((name) => {
        const share = given.get(name) ?? null;
        return share === null ? [] : [[name, share] as const];
      }),
    ]);
  return { cast, given, withVictim: lootOf(SERVED, GROUPS), without: lootOf(SWAPPED, OTHERS) };
}

test('members that leave out what they cannot open give two sums of keys, and the update of who is left out', () => {
  const { cast, withVictim, without } = attack(Lenient);
  const roster = cast.rosterOf(VICTIM);
  const key = differenceOf(withVictim, without, roster)!;
  expect(cast.read([cast.uploads.get(VICTIM)!], key, roster.seed)).toEqual(cast.clearWords(VICTIM));
});

test('boxes of both ways under one key: the aggregator sees by how much two shares differ', () => {
  const seen = (heard: SealedHeardClass) => {
    const cast = new SealedCast(GROUPS, { heard: () => heard });
    cast.collect();
    const member = SERVED[0]!;
    const bytes = (a: Uint8Array, b: Uint8Array) => a.map((byte, i) => byte ^ b[i]!);
    // A box is a tag of 16 bytes and the share under a keystream.
    const boxes = bytes(cast.boxOf(VICTIM, member).slice(16), cast.boxOf(member, VICTIM).slice(16));
    const shares = bytes(
      packElement(cast.confided(member, VICTIM)),
      packElement(cast.confided(VICTIM, member)),
    );
    return boxes.filter((byte, i) => byte === shares[i]).length / boxes.length;
  };
  expect(seen(Unrouted)).toBe(1);
  expect(seen(Heard)).toBeLessThan(1 / 100);
});

describe('ours', () => {
  test('a member that lacks a share of one survivor gives none at all: there is one sum, and it is that of the list', () => {
    const { cast, given, withVictim, without } = attack(Heard);
    for (const name of SWAPPED) expect(given.get(name)).toBeNull();
    const roster = cast.rosterOf(VICTIM);
    expect(differenceOf(withVictim, without, roster)).toBeNull();
    const confided = new Map(CORRUPT.map((name) => [name, cast.confided(name, VICTIM)]));
    expect(saysNothing(cast, VICTIM, confided)).toBe(true);
    // The others are as many as the threshold: all that the attack did is that two fewer answered.
    expect(withVictim.size).toBe(roster.committee.threshold);
  });

  test('no box opens but on its way, from its sender to its member in this list of groups', () => {
    const cast = new SealedCast(GROUPS);
    cast.share();
    const [one = '', other = ''] = SERVED;
    const keyOf = (owner: string, from: string, to: string) =>
      cast.member(owner).heard.sealKey({ from, to }, owner === from ? to : from);
    const box = cast.boxOf(VICTIM, one);
    expect(openSealed(keyOf(one, VICTIM, one), box)).not.toBeNull();
    expect(openSealed(keyOf(VICTIM, VICTIM, one), box)).not.toBeNull();
    for (const key of [
      keyOf(other, VICTIM, other),
      keyOf(one, one, VICTIM),
      keyOf(VICTIM, one, VICTIM),
      keyOf(other, other, one),
    ]) {
      expect(openSealed(key, box)).toBeNull();
    }
    const boxes = GROUPS.flatMap((from) => [...cast.shares.get(from)!.sealed]);
    expect(new Set(boxes.map((each) => Buffer.from(each.slice(0, 48)).toString('hex'))).size).toBe(7 * 6);
  });
});
