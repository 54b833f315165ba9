import { describe, expect, test } from 'vitest';
import { bytesFrom } from '../../src/core/bytes.ts';
import { Heard } from '../../src/privacy/seal/heard.ts';
import { type Advert, SEALED } from '../../src/privacy/seal/messages.ts';
import { codeOf, identityFor, namesOf } from '../support/attacks.ts';
import { CredulousSealed, SealedCast, type SealedHeardClass } from '../support/sealed-attacks.ts';

/** The aggregator stands in the middle: it gives the victim its own keys as those of all members, and keeps the shares in their place. */

const GROUPS = namesOf(4);
const [VICTIM = '', ...OTHERS] = GROUPS;

/** Keys without signatures, as in an implementation in wide use. */
class Unsigned extends Heard {
  protected override checkAdvert(): void {}
}

const ANYBODY = { least: 1, trusts: () => true };
const genuine = (group: string) => identityFor(group).publicKey;
/** What `group join --peers` comes to. */
const CLOSED = { least: 1, trusts: (group: string, key: string) => genuine(group) === key };

interface Attack {
  readonly victim?: SealedHeardClass;
  readonly peers?: typeof CLOSED;
  /** What the attacker changes in the keys of its impostors. */
  readonly dress?: (advert: Advert) => Advert;
}

/** The update that the attacker reads, or the code of the error with which the victim turns away. */
function attack({ victim = Heard, peers = ANYBODY, dress = (advert) => advert }: Attack) {
  const cast = new SealedCast(GROUPS, {
    heard: (group) => (group === VICTIM ? victim : CredulousSealed),
    peers: () => peers,
    salt: (group) => (group === VICTIM ? '' : 'impostor'),
  });
  const adverts = cast.adverts().map((advert) => (advert.group === VICTIM ? advert : dress(advert)));
  const code = codeOf(() => cast.collect(adverts));
  if (code !== null) return { code, sealed: cast.shares.get(VICTIM)?.sealed ?? [], words: null };
  const loot = new Map(OTHERS.map((name) => [name, cast.confided(name, VICTIM)]));
  return { code, words: cast.readWith(VICTIM, loot) };
}

const REFUSED = { code: 'AGGREGATOR_UNTRUSTED', sealed: [], words: null };
const READ = { code: null, words: new SealedCast(GROUPS).clearWords(VICTIM) };

/** Under the name and identity of the group itself, which did not sign them. */
const asGenuine = (advert: Advert): Advert => ({ ...advert, identity: bytesFrom(genuine(advert.group)) });

describe('keys that their group did not sign', () => {
  test('against a group that asks for no signatures, the aggregator alone reads its update before any sum', () => {
    expect(attack({ victim: Unsigned, dress: asGenuine })).toEqual(READ);
  });

  test('ours seals nothing for them', () => {
    expect(attack({ dress: asGenuine })).toEqual(REFUSED);
  });

  test('ours sees it where only the key of one group is another, its own among them', () => {
    for (const swapped of GROUPS) {
      const cast = new SealedCast(GROUPS);
      const cipherKey = bytesFrom(identityFor('own').publicKey).map((byte, i) =>
        i === 31 ? byte & 0x7f : byte,
      );
      const adverts = cast
        .adverts()
        .map((advert) => (advert.group === swapped ? { ...advert, cipherKey } : advert));
      expect(codeOf(() => cast.share(adverts, [VICTIM]))).toBe('AGGREGATOR_UNTRUSTED');
    }
  });

  test('one key for two members is seen, also where one bit makes two of it that mean the same', () => {
    const other = OTHERS[1]!;
    for (const bit of [0, 0x80]) {
      const cast = new SealedCast(GROUPS);
      const key = cast.adverts()[1]!.cipherKey.map((byte, i) => (i === 31 ? byte ^ bit : byte));
      const adverts = cast.adverts().map((advert) => {
        if (advert.group !== other) return advert;
        const { identity } = cast.member(other).heard.setup;
        // A corrupt group may sign whatever it likes.
        const signature = identity.sign(keysSigned(cast, { ...advert, cipherKey: key }));
        return { ...advert, cipherKey: key, signature: bytesFrom(signature) };
      });
      expect(codeOf(() => cast.share(adverts, [VICTIM]))).toBe('AGGREGATOR_UNTRUSTED');
    }
  });
});

describe('keys signed by identities that the aggregator made up', () => {
  test('against a group that believes any identity, the aggregator alone reads its update', () => {
    expect(attack({ peers: ANYBODY })).toEqual(READ);
  });

  test('a group with a list of its peers seals nothing for them', () => {
    expect(attack({ peers: CLOSED })).toEqual(REFUSED);
  });
});

function keysSigned(cast: SealedCast, { group, ...keys }: Advert): Uint8Array {
  return SEALED.keysStatement(cast.context, group, keys);
}
