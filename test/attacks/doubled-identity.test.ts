import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { bytesFrom, hexOf } from '../../src/core/bytes.ts';
import { Heard } from '../../src/privacy/mask/heard.ts';
import {
  type Advert,
  keysMessage,
  keysStatement,
  rosterMessage,
  STEP,
} from '../../src/privacy/mask/messages.ts';
import type { Roster } from '../../src/privacy/mask/roster.ts';
import { mask } from '../../src/privacy/mask.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import type { ProtectedUpdate } from '../../src/wire/stages.ts';
import { Cast, Credulous, codeOf, confidedBy, identityFor, namesOf, readWith } from '../support/attacks.ts';
import { SHAPE } from '../support/protected-round.ts';

/** One group of the aggregator's stands in the list under several names, or the aggregator takes the place of a group. */

const GROUPS = namesOf(4);
const [VICTIM = '', ...OTHERS] = GROUPS;

/** A group that checks each entry by itself, and not the list. */
class EntryByEntry extends Heard {
  protected override readRoster(): Roster {
    const { adverts } = rosterMessage.read(this.setup.heard(STEP.shares))!;
    for (const advert of adverts) this.checkAdvert(advert);
    return this.rosterFrom(adverts);
  }
}

/** The keys of one corrupt group, signed by it under three names. */
function doubled(cast: Cast): Advert[] {
  const corrupt = identityFor('corrupt');
  const [own, ...rest] = cast.adverts();
  const fakes = rest.map((advert) => {
    const keys = { ...advert, identity: bytesFrom(corrupt.publicKey) };
    const signature = bytesFrom(corrupt.sign(keysStatement(cast.context, advert.group, keys)));
    return { ...keys, signature };
  });
  return [own!, ...fakes];
}

const withBit = (key: Uint8Array) => key.map((byte, index) => (index === 31 ? byte | 0x80 : byte));

/** The secret that a group shares with the owner of a key. */
function agreed(key: Uint8Array, change: (key: Uint8Array) => Uint8Array = (same) => same): string {
  return hexOf(keyPairOf(new Uint8Array(32).fill(3)).agree(hexOf(change(key)))!);
}

const anyName = { least: 1, trusts: () => true };
const only = (group: string, heard: typeof Heard) => (name: string) => (name === group ? heard : Credulous);

test('against a group that does not compare them, one corrupt group under three names reads the update', () => {
  const cast = new Cast(GROUPS, { heard: only(VICTIM, EntryByEntry), peers: () => anyName });
  cast.collect(doubled(cast));
  const { self, mask } = confidedBy(cast, OTHERS, VICTIM);
  expect(readWith(cast, VICTIM, self, mask)).toEqual(cast.clearWords(VICTIM));
});

test('against groups that do not look for their own keys, the aggregator takes a place and opens what was sealed for it', () => {
  // Everybody but the robbed group sees keys of the aggregator under its name; what is sealed for the name, it opens.
  const robbed = OTHERS[0]!;
  const salt = (name: string) => (name === robbed ? 'aggregator' : '');
  const cast = new Cast(GROUPS, { heard: () => EntryByEntry, salt });
  cast.collect();
  const opened = cast.confided(robbed, VICTIM);
  const told = confidedBy(cast, OTHERS, VICTIM);
  expect([opened.self, opened.mask]).toEqual([told.self.get(robbed), told.mask.get(robbed)]);
  // The robbed group itself would go on under the same list.
  const genuine = new Cast(GROUPS, { heard: () => EntryByEntry });
  const shown = rosterMessage.write({ adverts: cast.adverts() });
  expect(codeOf(() => genuine.ask(robbed, STEP.shares, shown))).toBeNull();
  const ours = new Cast(GROUPS);
  expect(codeOf(() => ours.ask(robbed, STEP.shares, shown))).toBe('AGGREGATOR_UNTRUSTED');
});

describe('ours seals nothing', () => {
  const refuses = (change: (cast: Cast) => Advert[]) => {
    const cast = new Cast(GROUPS, { heard: only(VICTIM, Heard), peers: () => anyName });
    const shown = rosterMessage.write({ adverts: change(cast) });
    expect(codeOf(() => cast.ask(VICTIM, STEP.shares, shown))).toBe('AGGREGATOR_UNTRUSTED');
  };

  test('where one identity stands under several names', () => refuses(doubled));

  /** All of them well signed: only the list shows what is wrong. */
  const signed = (cast: Cast, change: (adverts: Advert[]) => Advert[]) =>
    change(cast.adverts()).map((advert) => ({
      ...advert,
      signature: cast.forge(advert.group, keysStatement(cast.context, advert.group, advert)).signature,
    }));

  test.each(['cipherKey', 'maskKey'] as const)('where two groups have the same %s', (key) =>
    refuses((cast) =>
      signed(cast, ([own, one, two, three]) => [own!, one!, { ...two!, [key]: one![key] }, three!]),
    ),
  );

  test.each(['cipherKey', 'maskKey'] as const)('where another has its own %s', (key) =>
    refuses((cast) => signed(cast, ([own, one, ...rest]) => [own!, { ...one!, [key]: own![key] }, ...rest])),
  );

  test.each(['cipherKey', 'maskKey'] as const)(
    'where another has the %s of a third with the bit set that X25519 does not look at',
    (key) => {
      expect(agreed(new Cast(GROUPS).adverts()[1]![key], withBit)).toBe(
        agreed(new Cast(GROUPS).adverts()[1]![key]),
      );
      refuses((cast) =>
        signed(cast, ([own, one, two, three]) => [
          own!,
          one!,
          { ...two!, [key]: withBit(one![key]) },
          three!,
        ]),
      );
    },
  );

  test.each<[string, (adverts: Advert[]) => Advert[]]>([
    ['where its own keys are missing', ([, ...rest]) => rest],
    ['where a group is listed twice', ([own, one, ...rest]) => [own!, one!, one!, ...rest]],
    ['where the list is not in order', ([own, one, two, three]) => [own!, two!, one!, three!]],
    ['where its own keys stand under another name', ([own, ...rest]) => [{ ...own!, group: 'a' }, ...rest]],
    ['for an empty list', () => []],
  ])('%s', (_name, change) => {
    const cast = new Cast(GROUPS);
    const adverts = change(cast.adverts());
    const code = codeOf(() => cast.ask(VICTIM, STEP.shares, rosterMessage.write({ adverts })));
    expect(code).toBe(adverts.length < 3 ? 'ROUND_REFUSED' : 'AGGREGATOR_UNTRUSTED');
  });
});

test.each(['cipherKey', 'maskKey'] as const)('the aggregator takes no %s with that bit set', (key) => {
  const cast = new Cast(GROUPS);
  const keys = (own: Advert, change: (bytes: Uint8Array) => Uint8Array) => {
    const { group, ...changed } = { ...own, [key]: change(own[key]) };
    const { signature } = cast.forge(group, keysStatement(cast.context, group, changed));
    return keysMessage.write({ ...changed, signature });
  };
  const [own] = cast.adverts();
  const screened = (payload: Uint8Array) => {
    const collection = mask.create({}, SHAPE).collect(cast.context);
    const { round } = cast.context;
    const reply: ProtectedUpdate = asStage({ group: VICTIM, round, protection: 'mask', payload });
    return codeOf(() => collection.screen(STEP.keys, reply, hexOf(own!.identity)));
  };
  expect(screened(keys(own!, (bytes) => bytes))).toBeNull();
  expect(screened(keys(own!, withBit))).toBe('UPDATE_MALFORMED');
});
