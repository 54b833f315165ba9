import { bytesFrom } from '../../src/core/bytes.ts';
import { canonicalJson, sha256 } from '../../src/core/digest.ts';
import type { GroupPart, GroupSetup, RoundContext } from '../../src/privacy/protection.ts';
import { rememberingCheck } from '../../src/simulate/round-parts.ts';
import { type Identity, identityOf } from '../../src/wire/identity.ts';
import type { Update } from '../../src/wire/stages.ts';
import { contextOf } from './protected-round.ts';

/** Length of the updates that attacks are after. */
export const PARAMETERS = 24;

export const namesOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `g${String(index).padStart(2, '0')}`);

export function identityFor(group: string, salt = ''): Identity {
  return identityOf(sha256('identity', salt, group));
}

const ANYBODY: GroupSetup['peers'] = { least: 1, trusts: () => true };

/** What a group has heard: ours, or one whose checks a test has weakened. */
export type HeardClass<Settings, Heard> = new (settings: Settings, setup: GroupSetup) => Heard;

export interface CastOptions<Settings, Heard> {
  readonly context?: RoundContext;
  readonly heard?: (group: string) => HeardClass<Settings, Heard>;
  readonly peers?: (group: string) => GroupSetup['peers'];
  /** Other secrets and another identity for a group; left out or empty: its own. */
  readonly salt?: (group: string) => string;
  /** What a group draws for the attempt; left out: another in every attempt. */
  readonly secret?: (group: string) => Uint8Array;
}

interface Member<Heard> {
  readonly heard: Heard;
  readonly part: GroupPart;
  readonly shown: Map<number, Uint8Array>;
}

/** What a protocol makes its groups of. */
interface Making<Settings, Heard> {
  readonly settings: Settings;
  /** Ours. */
  readonly heard: HeardClass<Settings, Heard>;
  readonly part: (heard: Heard) => GroupPart;
  readonly uploadStep: number;
}

/** Groups of one attempt of a round, with an attacker in the aggregator's place who may show each of them anything. */
export abstract class BaseCast<Settings, Heard, Shares> {
  readonly groups: readonly string[];
  readonly context: RoundContext;
  readonly settings: Settings;
  readonly shares = new Map<string, Shares>();
  readonly uploads = new Map<string, Uint8Array>();
  readonly #options: CastOptions<Settings, Heard>;
  readonly #making: Making<Settings, Heard>;
  readonly #members = new Map<string, Member<Heard>>();
  readonly #verify = rememberingCheck();

  constructor(
    groups: readonly string[],
    options: CastOptions<Settings, Heard>,
    making: Making<Settings, Heard>,
  ) {
    this.groups = groups;
    this.#options = options;
    this.#making = making;
    this.context = options.context ?? contextOf(PARAMETERS);
    this.settings = making.settings;
  }

  abstract updateOf(group: string): Update;

  member(group: string): Member<Heard> {
    const known = this.#members.get(group);
    if (known !== undefined) return known;
    const { heard = () => this.#making.heard, peers = () => ANYBODY, salt = () => '' } = this.#options;
    const fresh = (name: string) =>
      bytesFrom(sha256('secret', salt(name), name, canonicalJson(this.context)));
    const { secret = fresh } = this.#options;
    const shown = new Map<number, Uint8Array>();
    const made = new (heard(group))(this.settings, {
      context: this.context,
      group,
      identity: identityFor(group, salt(group)),
      secret: secret(group),
      heard: (step) => shown.get(step) ?? new Uint8Array(),
      peers: peers(group),
      verify: this.#verify,
    });
    const member = { heard: made, part: this.#making.part(made), shown };
    this.#members.set(group, member);
    return member;
  }

  /** What a group answers to a step when it is shown this before. */
  ask(group: string, step: number, shown: Uint8Array = new Uint8Array()): Uint8Array {
    const member = this.member(group);
    member.shown.set(step, shown);
    return member.part.answer(step, step === this.#making.uploadStep ? this.updateOf(group) : null);
  }
}
