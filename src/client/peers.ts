import type { Peers as PeerRules, Protection } from '../privacy/protection.ts';
import type { GroupMemory } from './group-memory.ts';
import type { ParticipantOptions } from './participation.ts';

/** What of a participant says whom it accepts. */
export interface PeerOptions
  extends Pick<ParticipantOptions, 'knownPeers' | 'leastGroups' | 'group' | 'identity' | 'definition'> {
  readonly work: { readonly protection: Pick<Protection, 'trustees'> };
}

/**
 * The keys of other groups. Where the group was given a list, they are those of the list and no others; where it was not, a key is
 * believed the first time, and no other for that name ever after.
 */
export class Peers implements PeerRules {
  readonly least: number;
  readonly #known: Map<string, string>;
  /** Keys that are seen for the first time, until all of a list is found to be right. */
  readonly #new = new Map<string, string>();
  readonly #closed: boolean;
  readonly #memory: GroupMemory;

  constructor(
    { knownPeers, leastGroups, group, identity, definition, work }: PeerOptions,
    memory: GroupMemory,
  ) {
    // The aggregator may not split those who joined into sets that are too small to hide anybody; trustees hide nobody.
    this.least = Math.max(leastGroups, definition.plan.quorum - work.protection.trustees.length);
    this.#closed = knownPeers !== null;
    this.#memory = memory;
    this.#known = new Map(knownPeers ?? memory.record.peers);
    this.#known.set(group, identity.publicKey);
  }

  /** Forgets keys of a list that turned out not to be right. */
  drop(): void {
    this.#new.clear();
  }

  trusts(group: string, publicKey: string): boolean {
    if (this.#closed || this.#known.has(group)) return this.#known.get(group) === publicKey;
    this.#new.set(group, publicKey);
    return true;
  }

  /** Stores the keys that were seen for the first time. */
  keep(): void {
    if (this.#new.size === 0) return;
    for (const [group, publicKey] of this.#new) this.#known.set(group, publicKey);
    this.#new.clear();
    this.#memory.save({ peers: [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1)) });
  }
}
