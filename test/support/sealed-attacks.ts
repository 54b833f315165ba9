import { bytesFrom } from '../../src/core/bytes.ts';
import { randomStream } from '../../src/core/random.ts';
import { addCiphertext, type CiphertextSum, emptySum, open } from '../../src/privacy/seal/ciphertext.ts';
import { type Fractions, zeroFractions } from '../../src/privacy/seal/fixed.ts';
import { SealingGroup } from '../../src/privacy/seal/group-part.ts';
import { Heard } from '../../src/privacy/seal/heard.ts';
import { loadedRing, prepareRing } from '../../src/privacy/seal/loaded-ring.ts';
import {
  type Advert,
  deliveryMessage,
  openMessage,
  SEALED,
  type Shares,
  STEP,
  sharesMessage,
  signaturesMessage,
} from '../../src/privacy/seal/messages.ts';
import { inverseOf, reduce } from '../../src/privacy/seal/modular.ts';
import {
  addInto,
  DEGREE,
  MODULUS,
  PRIMES,
  type RingElement,
  unpackElement,
  zeroElement,
} from '../../src/privacy/seal/ring.ts';
import type { Roster } from '../../src/privacy/seal/roster.ts';
import { publicElements } from '../../src/privacy/seal/sample.ts';
import { type SealSettings, sealOptions, sealSettings } from '../../src/privacy/seal/settings.ts';
import { type ElementShare, joinElements, shareOfElement } from '../../src/privacy/seal/shares.ts';
import { addPlaintexts, signedOf } from '../../src/privacy/seal/slots.ts';
import { seal } from '../../src/privacy/seal.ts';
import { keyFor } from '../../src/privacy/secure-sum/keys.ts';
import { consistencyMessage, survivorsMessage } from '../../src/privacy/secure-sum/protocol.ts';
import { updateWords, wordsOf } from '../../src/privacy/secure-sum/words.ts';
import type { Update } from '../../src/wire/stages.ts';
import { AttackedClient, type MemoryFolder } from './attacked-client.ts';
import { namesOf, type Signature } from './attacks.ts';
import { BaseCast, type CastOptions, type HeardClass } from './cast.ts';
import { SHAPE, updateOf } from './protected-round.ts';

await prepareRing();

/** Ours, or one whose checks a test has weakened. */
export type SealedHeardClass = HeardClass<SealSettings, Heard>;

/** A side of the aggregator's own making: it believes whatever it is shown. */
export class CredulousSealed extends Heard {
  protected override readRoster(): Roster {
    return this.rosterFrom(this.shownAdverts()!);
  }
  protected override checkNames(): void {}
  override checkSignatures(): void {}
}

export interface SealedCastOptions extends CastOptions<SealSettings, Heard> {
  readonly settings?: Parameters<typeof sealOptions.parse>[0];
}

/** Elements that an attacker holds, by the member whose shares they are. */
export type Loot = ReadonlyMap<string, RingElement>;

/** Groups of one attempt of a round under `seal`, with an attacker in the aggregator's place who may show each of them anything. */
export class SealedCast extends BaseCast<SealSettings, Heard, Shares> {
  constructor(groups: readonly string[], options: SealedCastOptions = {}) {
    const settings = sealSettings(sealOptions.parse(options.settings ?? {}), SHAPE);
    const part = (heard: Heard) => new SealingGroup(heard);
    super(groups, options, { settings, heard: Heard, part, uploadStep: STEP.upload });
  }

  adverts(groups = this.groups): Advert[] {
    return groups.map((group) => ({ group, ...SEALED.keysMessage.read(this.ask(group, STEP.keys))! }));
  }

  /** Everybody is shown these keys, and deals shares of its own. */
  share(adverts = this.adverts(), groups = this.groups): void {
    const shown = SEALED.rosterMessage.write({ adverts });
    for (const group of groups) {
      this.shares.set(group, sharesMessage.read(this.ask(group, STEP.shares, shown))!);
    }
  }

  /** The box that one group sealed for another. */
  boxOf(from: string, to: string): Uint8Array {
    const { members } = this.rosterOf(from).committee;
    return this.shares.get(from)!.sealed[members.filter((name) => name !== from).indexOf(to)]!;
  }

  /** The boxes for a group, of whom it is told that they shared; `boxOf` says which. */
  deliveryFor(
    group: string,
    {
      sharers = this.groups,
      roster = this.rosterOf(group),
      boxOf = (from: string, to: string) => this.boxOf(from, to),
    } = {},
  ): Uint8Array {
    const isMember = roster.committee.members.includes(group);
    const others = isMember ? sharers.filter((from) => from !== group) : [];
    return deliveryMessage.write({
      sharers: [...sharers],
      sealed: others.map((from) => boxOf(from, group)),
    });
  }

  /** Keys, shares and ciphertexts, as an honest aggregator collects them. */
  collect(adverts = this.adverts()): void {
    this.share(adverts);
    for (const group of this.groups) {
      this.uploads.set(group, this.ask(group, STEP.upload, this.deliveryFor(group)));
    }
  }

  /** A group's signature under the survivors that it is shown. */
  sign(group: string, survivors: readonly string[]): Signature {
    const shown = survivorsMessage.write({ survivors: [...survivors] });
    const answer = this.ask(group, STEP.consistency, shown);
    return { group, signature: consistencyMessage.read(answer)!.signature };
  }

  /** What a corrupt group signs for the attacker. */
  forge(group: string, statement: Uint8Array): Signature {
    return { group, signature: bytesFrom(this.member(group).heard.setup.identity.sign(statement)) };
  }

  statementOf(group: string): Uint8Array {
    return this.member(group).heard.statement();
  }

  /** The share of the sum that a member gives away; null where it says that it has none. */
  reveal(group: string, signatures: readonly Signature[]): RingElement | null {
    const shown = signaturesMessage.write({ signatures: [...signatures] });
    const { share } = openMessage.read(this.ask(group, STEP.open, shown))!;
    return share === null ? null : unpackElement(share)!;
  }

  rosterOf(group: string): Roster {
    return this.member(group).heard.roster();
  }

  /** What a corrupt member tells the attacker: its share of a victim's key. */
  confided(member: string, victim: string): RingElement {
    const { heard } = this.member(member);
    if (member !== victim) return heard.shareFrom(victim)!;
    const { digest, committee } = heard.roster();
    const key = (purpose: string) => keyFor(heard.setup.secret, purpose, { digest });
    const sharing = { secret: this.keyOf(victim), threshold: committee.threshold };
    return shareOfElement(
      { ...sharing, key: key('share coefficients') },
      committee.members.indexOf(member) + 1,
    );
  }

  /** The key that a group encrypts under: only the test may look at it. Read with all shares, so that it is what was dealt. */
  keyOf(group: string): RingElement {
    const { members, threshold } = this.rosterOf(group).committee;
    const keepers = members.filter((name) => name !== group).slice(0, threshold);
    return joined(this.rosterOf(group), new Map(keepers.map((name) => [name, this.confided(name, group)])))!;
  }

  /** What a corrupt member can compute by itself: its share of the sum of any groups' keys but its own. */
  confidedSum(member: string, survivors: readonly string[]): RingElement {
    const sum = zeroElement();
    for (const name of survivors) addInto(sum, this.confided(member, name));
    return sum;
  }

  updateOf(group: string): Update {
    const random = randomStream(1, 'update', group);
    const delta = Float32Array.from({ length: this.context.parameters }, () => random.normal() / 2);
    return updateOf(group, 1 + random.below(SHAPE.mostWeight), delta, {
      round: this.context.round,
      score: random.uniform(),
    });
  }

  /** What nobody but the group may learn: its update on the grid. */
  clearWords(group: string): Uint32Array {
    return updateWords(this.updateOf(group), this.settings, new Uint8Array(32));
  }

  /** The sum of ciphertexts, without their heads. */
  sumOf(uploads: readonly Uint8Array[]): CiphertextSum {
    const sum = emptySum(this.settings.plan, wordsOf(this.context.parameters, this.settings.grid));
    for (const upload of uploads) addCiphertext(sum, upload.subarray(32), this.settings.plan);
    return sum;
  }

  /** What a sum of uploads says under a key, or null where that is noise. */
  read(uploads: readonly Uint8Array[], secretSum: RingElement, seed: Uint8Array): Uint32Array | null {
    const words = wordsOf(this.context.parameters, this.settings.grid);
    const sum = this.sumOf(uploads);
    return open(loadedRing(), this.settings.plan, { sum, secretSum, seed, words });
  }

  /** A victim's update, read with shares of its key: null where they are too few, or of something else. */
  readWith(victim: string, loot: Loot): Uint32Array | null {
    const roster = this.rosterOf(victim);
    const key = joined(roster, loot);
    return key === null ? null : this.read([this.uploads.get(victim)!], key, roster.seed);
  }
}

/** With the numbers that they have in the committee. */
function placed({ committee }: Roster, loot: Loot): ElementShare[] {
  return [...loot].map(([member, share]) => ({ x: committee.members.indexOf(member) + 1, share }));
}

/** The secret that shares have in common; null where they are fewer than the threshold. */
export function joined(roster: Roster, loot: Loot): RingElement | null {
  const { threshold } = roster.committee;
  return loot.size < threshold ? null : joinElements(placed(roster, loot).slice(0, threshold));
}

/** a * b of elements in NTT form. */
export function product(a: RingElement, b: RingElement): RingElement {
  const result = zeroElement();
  for (const [j, prime] of PRIMES.entries())
    for (let at = j * DEGREE; at < (j + 1) * DEGREE; at++)
      result[at] = reduce(a[at]! * b[at]!, prime, 1 / prime);
  return result;
}

/** 1 / a of an element in NTT form without zeros. */
export function inverse(a: RingElement): RingElement {
  return a.map((residue, at) => inverseOf(residue, PRIMES[Math.floor(at / DEGREE)]!));
}

export function minus(a: RingElement, b: RingElement): RingElement {
  return a.map((residue, at) => {
    const prime = PRIMES[Math.floor(at / DEGREE)]!;
    return reduce(residue - b[at]!, prime, 1 / prime);
  });
}

/** Equality; `toEqual` takes its time over each number. */
export function isSameElement(a: RingElement, b: RingElement): boolean {
  return a.every((residue, at) => residue === b[at]);
}

/** Shares by member, one from another. */
export function differenceOf(a: Loot, b: Loot, roster: Roster): RingElement | null {
  const [one, other] = [joined(roster, a), joined(roster, b)];
  return one === null || other === null ? null : minus(one, other);
}

/**
 * Shares with which those that are held come to this very key, or null where they already say what the key is. While there are
 * such shares for every key, those that are held say nothing.
 */
export function completedTo(roster: Roster, held: Loot, key: RingElement): Loot | null {
  const { members, threshold } = roster.committee;
  const unseen = members.filter((name) => !held.has(name)).slice(0, threshold - held.size);
  const [free, ...others] = unseen;
  if (held.size >= threshold || free === undefined) return null;
  const fixed = new Map([...held, ...others.map((name) => [name, zeroElement()] as const)]);
  const at = (share: RingElement) => joined(roster, new Map([...fixed, [free, share]]))!;
  const base = at(zeroElement());
  const weight = minus(at(zeroElement().fill(1)), base);
  return new Map([...fixed, [free, product(minus(key, base), inverse(weight))]]);
}

/** An element in NTT form that is as far around the circle as these fractions say, coefficient by coefficient. */
function elementAt(fractions: Fractions): RingElement {
  const element = zeroElement();
  for (let i = 0; i < DEGREE; i++) {
    const fraction = (BigInt(fractions.hi[i]!) << 32n) | BigInt(fractions.lo[i]!);
    const coefficient = (fraction * MODULUS) >> 64n;
    for (const [j, prime] of PRIMES.entries()) element[j * DEGREE + i] = Number(coefficient % BigInt(prime));
  }
  return loadedRing().toNtt(element);
}

/** What is to be added to a key so that what it opens says so much more in the first polynomial. Noise in the others. */
export function keyChange({ plan }: SealSettings, seed: Uint8Array, words: Uint32Array): RingElement {
  const wanted = zeroFractions(DEGREE);
  addPlaintexts(wanted, signedOf(words), 0, plan);
  return product(elementAt(wanted), inverse(publicElements(seed)(0)));
}

/** A key under which an upload of one polynomial says these words. There is one for all words. */
export function keyThatReads(cast: SealedCast, group: string, words: Uint32Array): RingElement {
  const { hi, lo } = cast.sumOf([cast.uploads.get(group)!]);
  const wanted = zeroFractions(DEGREE);
  addPlaintexts(wanted, signedOf(words), 0, cast.settings.plan);
  for (let i = 0; i < DEGREE; i++) {
    const low = wanted.lo[i]! - lo[i]!;
    wanted.lo[i] = low;
    wanted.hi[i] = wanted.hi[i]! - hi[i]! - (low < 0 ? 1 : 0);
  }
  const { seed } = cast.rosterOf(group);
  return product(elementAt(wanted), inverse(publicElements(seed)(0)));
}

/** That shares say nothing of a victim's update: with others beside them they would say anybody's. */
export function saysNothing(cast: SealedCast, victim: string, held: Loot): boolean {
  const roster = cast.rosterOf(victim);
  return cast.groups.every((group) => {
    const words = cast.clearWords(group);
    const loot = completedTo(roster, held, keyThatReads(cast, victim, words));
    if (loot === null || ![...held].every(([name, share]) => loot.get(name) === share)) return false;
    const read = cast.readWith(victim, loot);
    return read !== null && Buffer.compare(bytesOfWords(read), bytesOfWords(words)) === 0;
  });
}

function bytesOfWords(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** The sum of words, modulo 2^32. */
export function wordsSum(all: readonly Uint32Array[]): Uint32Array {
  const sum = new Uint32Array(all[0]!.length);
  for (const words of all) for (let i = 0; i < sum.length; i++) sum[i]! += words[i]!;
  return sum;
}

export const wordsMinus = (a: Uint32Array, b: Uint32Array): Uint32Array => a.map((word, i) => word - b[i]!);

export const SEALED_ROUND = namesOf(4);

/** A client under `seal` and three groups that do as they should, in one attempt of a round, up to the client's shares. */
export async function sealedRound(train: () => Update, folder?: MemoryFolder, attempt = 1) {
  const [victim = '', ...others] = SEALED_ROUND;
  const client = new AttackedClient(victim, train, folder, { protection: seal.create({}, SHAPE) });
  const cast = new SealedCast(SEALED_ROUND, { context: client.context(attempt) });
  await client.asked(STEP.keys, attempt);
  const keys = SEALED.keysMessage.read(client.sentIn(STEP.keys, attempt)[0]!)!;
  const adverts: Advert[] = [{ group: victim, ...keys }, ...cast.adverts(others)];
  client.show = () => SEALED.rosterMessage.write({ adverts });
  await client.asked(STEP.shares, attempt);
  cast.share(adverts, others);
  cast.shares.set(victim, sharesMessage.read(client.sentIn(STEP.shares, attempt)[0]!)!);
  const roster = cast.rosterOf(others[0]!);
  const boxOf = (from: string, to: string) => {
    const keepers = roster.committee.members.filter((name) => name !== from);
    return cast.shares.get(from)!.sealed[keepers.indexOf(to)]!;
  };
  const delivery = cast.deliveryFor(victim, { roster, boxOf });
  client.show = () => delivery;
  const deliver = (group: string) => cast.deliveryFor(group, { roster, boxOf });
  return { client, cast, adverts, roster, victim, others, deliver };
}
