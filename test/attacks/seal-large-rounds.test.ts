import { expect, test } from 'vitest';
import {
  MOST_MEMBERS,
  openMessage,
  SEALED_BYTES,
  STEP,
  sharesMessage,
} from '../../src/privacy/seal/messages.ts';
import { ELEMENT_BYTES } from '../../src/privacy/seal/ring.ts';
import { seal } from '../../src/privacy/seal.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { codeOf, namesOf } from '../support/attacks.ts';
import { SealedCast } from '../support/sealed-attacks.ts';

/** Messages that are large: because somebody makes them so, or because a round has many groups. */

const roster = new Uint8Array(32);
const box = new Uint8Array(SEALED_BYTES);

test('a message of more boxes than a committee has members is not read, nor one of other boxes', () => {
  expect(sharesMessage.read(encodeCbor({ roster, sealed: Array(MOST_MEMBERS).fill(box) }))).not.toBeNull();
  for (const sealed of [
    Array(MOST_MEMBERS + 1).fill(box),
    [box.subarray(1)],
    [new Uint8Array(SEALED_BYTES + 1)],
    Array(2 ** 20).fill(new Uint8Array()),
    Array(2 ** 20).fill({}),
  ]) {
    expect(sharesMessage.read(encodeCbor({ roster, sealed }))).toBeNull();
  }
  for (const share of [new Uint8Array(ELEMENT_BYTES + 1), new Uint8Array(2 ** 24), [], Array(300).fill(0)]) {
    expect(openMessage.read(encodeCbor({ roster, share }))).toBeNull();
  }
});

test('a member that is shown more boxes than groups shared, or fewer, turns away', () => {
  const groups = namesOf(4);
  const [member = ''] = groups;
  for (const change of [
    (sealed: Uint8Array[]) => [...sealed, sealed[0]!],
    (sealed: Uint8Array[]) => sealed.slice(1),
    () => [],
    (sealed: Uint8Array[]) => Array<Uint8Array>(2000).fill(sealed[0]!),
  ]) {
    const cast = new SealedCast(groups);
    cast.share();
    const sealed = groups.filter((name) => name !== member).map((from) => cast.boxOf(from, member));
    const shown = encodeCbor({ sharers: groups, sealed: change(sealed) });
    expect(codeOf(() => cast.ask(member, STEP.upload, shown))).toBe('AGGREGATOR_UNTRUSTED');
  }
});

test('what a member is shown fits into what a client fetches, for as many groups as the options allow', () => {
  const [most, more] = [256, 257];
  expect(seal.options.safeParse({ mostGroups: most }).success).toBe(true);
  expect(seal.options.safeParse({ mostGroups: more }).success).toBe(false);
  // MOST_SHOWN_BYTES of src/client/round-part.ts.
  expect((most - 1) * SEALED_BYTES).toBeLessThan(2 ** 25);
});
