import { bytesFrom } from '../../src/core/bytes.ts';
import { randomStream } from '../../src/core/random.ts';
import { MaskedGroup } from '../../src/privacy/mask/group-part.ts';
import { Heard, type HeldShares } from '../../src/privacy/mask/heard.ts';
import { pairMaskKey, pairSign, selfMaskKey } from '../../src/privacy/mask/keys.ts';
import {
  type Advert,
  consistencyMessage,
  deliveryMessage,
  keysMessage,
  rosterMessage,
  type Shares,
  STEP,
  sharesMessage,
  signaturesMessage,
  survivorsMessage,
  unmaskMessage,
} from '../../src/privacy/mask/messages.ts';
import type { Roster } from '../../src/privacy/mask/roster.ts';
import { type MaskSettings, maskOptions, maskSettings } from '../../src/privacy/mask/settings.ts';
import { joinSecret, type Share } from '../../src/privacy/mask/shamir.ts';
import { addMask } from '../../src/privacy/secure-sum/expand.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { packedBytes, unpackWords } from '../../src/privacy/secure-sum/packing.ts';
import { updateWords, wordsOf } from '../../src/privacy/secure-sum/words.ts';
import type { Update } from '../../src/wire/stages.ts';
import { type HeardClass as AnyHeardClass, BaseCast, type CastOptions as BaseOptions } from './cast.ts';
import { SHAPE, updateOf } from './protected-round.ts';

export { identityFor, namesOf, PARAMETERS } from './cast.ts';

/** Ours, or one whose checks a test has weakened. */
export type HeardClass = AnyHeardClass<MaskSettings, Heard>;

/** A side of the aggregator's own making: it believes whatever it is shown. */
export class Credulous extends Heard {
  protected override readRoster(): Roster {
    return this.rosterFrom(rosterMessage.read(this.setup.heard(STEP.shares))!.adverts);
  }
  protected override checkNames(): void {}
  override checkSignatures(): void {}
}

export interface CastOptions extends BaseOptions<MaskSettings, Heard> {
  readonly settings?: Parameters<typeof maskOptions.parse>[0];
}

/** Where the signature of an upload stands in it. */
const SIGNATURE_AT = [32, 96] as const;

export interface Signature {
  readonly group: string;
  readonly signature: Uint8Array;
}

/** An update on the grid; no noise is added in these tests. */
export function wordsInClear(update: Update, settings: MaskSettings): Uint32Array {
  return updateWords(update, settings, new Uint8Array(32));
}

/** Groups of one attempt of a round, with an attacker in the aggregator's place who may show each of them anything. */
export class Cast extends BaseCast<MaskSettings, Heard, Shares> {
  constructor(groups: readonly string[], options: CastOptions = {}) {
    const settings = maskSettings(maskOptions.parse(options.settings ?? {}), SHAPE);
    const part = (heard: Heard) => new MaskedGroup(heard);
    super(groups, options, { settings, heard: Heard, part, uploadStep: STEP.upload });
  }

  adverts(groups = this.groups): Advert[] {
    return groups.map((group) => ({ group, ...keysMessage.read(this.ask(group, STEP.keys))! }));
  }

  /** Everybody is shown these keys, and shares its secrets. */
  share(adverts = this.adverts(), groups = this.groups): void {
    for (const group of groups) {
      const answer = this.ask(group, STEP.shares, rosterMessage.write({ adverts }));
      this.shares.set(group, sharesMessage.read(answer)!);
    }
  }

  /** The boxes for a group, of whom it is told that they shared. */
  deliveryFor(group: string, sharers = this.groups, { neighbours } = this.rosterOf(group)): Uint8Array {
    const sealed = neighbours.get(group)!.map((from) => {
      if (!sharers.includes(from)) return null;
      return this.shares.get(from)!.sealed[neighbours.get(from)!.indexOf(group)]!;
    });
    return deliveryMessage.write({ sharers: [...sharers], sealed });
  }

  /** Keys, shares and masked updates, as an honest aggregator collects them. */
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

  /** The shares that a group gives away, by whose secret they are of; none of whom it could not open the box. */
  reveal(group: string, signatures: readonly Signature[]): Map<string, Uint8Array> {
    const { heard } = this.member(group);
    const owners = [...heard.delivery().held.keys()];
    const survived = new Set(heard.survivors());
    const uploads = owners.map((owner) =>
      survived.has(owner) ? this.uploads.get(owner)!.slice(...SIGNATURE_AT) : null,
    );
    const shown = signaturesMessage.write({ signatures: [...signatures], uploads });
    const { shares } = unmaskMessage.read(this.ask(group, STEP.unmask, shown))!;
    return new Map(
      owners.flatMap((owner, index) => {
        const share = shares[index] ?? null;
        return share === null ? [] : [[owner, share] as const];
      }),
    );
  }

  rosterOf(group: string): Roster {
    return this.member(group).heard.roster();
  }

  /** What a corrupt group tells the attacker of a victim: both shares that it keeps. */
  confided(group: string, victim: string): HeldShares {
    return this.member(group).heard.delivery().held.get(victim)!;
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
    return this.ring(updateWords(this.updateOf(group), this.settings, new Uint8Array(32)));
  }

  /** Words without what stands above the ring. */
  ring(words: Uint32Array): Uint32Array {
    const unused = 32 - this.settings.grid.ringBits;
    return words.map((word) => (word << unused) >>> unused);
  }

  masked(upload: Uint8Array): Uint32Array {
    const { grid } = this.settings;
    const { ringBits } = grid;
    const count = wordsOf(this.context.parameters, grid);
    return unpackWords(upload.subarray(upload.length - packedBytes(count, ringBits)), count, ringBits)!;
  }
}

/** Shares of one group's secret that an attacker holds, by who kept them. */
export type Loot = ReadonlyMap<string, Uint8Array>;

/** With the numbers that they have among the owner's neighbours. */
export function placed(roster: Roster, owner: string, loot: Loot): Share[] {
  const keepers = roster.neighbours.get(owner)!;
  return [...loot].map(([keeper, share]) => ({ x: keepers.indexOf(keeper) + 1, share }));
}

/**
 * How many values the first byte of a secret can still have, for somebody who holds these shares of it: 256 while they say
 * nothing, 1 when they tell it.
 */
export function valuesLeft(roster: Roster, owner: string, loot: Loot): number {
  const held = placed(roster, owner, loot);
  const { threshold } = roster.plan;
  const unseen = Array.from({ length: 255 }, (_, index) => index + 1)
    .filter((x) => held.every((share) => share.x !== x))
    .slice(0, Math.max(0, threshold - held.length));
  if (unseen.length === 0) return 1;
  const secrets = Array.from({ length: 256 }, (_, value) => {
    const guessed = unseen.map((x, index) => ({
      x,
      share: new Uint8Array(32).fill(index === 0 ? value : 0),
    }));
    return joinSecret([...held, ...guessed], threshold)[0];
  });
  return new Set(secrets).size;
}

/** Takes a group's own mask off its upload, and those that it shares with the others who shared. */
export function unmaskWith(
  cast: Cast,
  victim: string,
  secrets: { readonly self: Uint8Array; readonly mask: Uint8Array },
  upload = cast.uploads.get(victim)!,
): Uint32Array {
  const roster = cast.rosterOf(victim);
  const words = cast.masked(upload);
  addMask(words, selfMaskKey(secrets.self, roster, victim), -1);
  const pair = keyPairOf(secrets.mask);
  for (const other of cast.member(victim).heard.delivery().held.keys()) {
    const key = pairMaskKey(pair, roster, [victim, other], other)!;
    addMask(words, key, pairSign(victim, other) === 1 ? -1 : 1);
  }
  return cast.ring(words);
}

/** The update in an upload, read with enough shares of both secrets; null where they are too few. */
export function readWith(cast: Cast, victim: string, self: Loot, mask: Loot): Uint32Array | null {
  const roster = cast.rosterOf(victim);
  const { threshold } = roster.plan;
  if (self.size < threshold || mask.size < threshold) return null;
  return unmaskWith(cast, victim, {
    self: joinSecret(placed(roster, victim, self), threshold),
    mask: joinSecret(placed(roster, victim, mask), threshold),
  });
}

/** Both shares of a victim that each of these keeps for it. */
export function confidedBy(
  cast: Cast,
  keepers: readonly string[],
  victim: string,
): { self: Loot; mask: Loot } {
  const both = keepers.map((name) => [name, cast.confided(name, victim)] as const);
  return {
    self: new Map(both.map(([name, { self }]) => [name, self])),
    mask: new Map(both.map(([name, { mask }]) => [name, mask])),
  };
}

/** The code of the error that something throws; null where it throws none. */
export function codeOf(act: () => unknown): unknown {
  try {
    act();
    return null;
  } catch (thrown) {
    return (thrown as { readonly code?: unknown }).code;
  }
}
