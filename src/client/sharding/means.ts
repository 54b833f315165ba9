import type { GroupLinks } from '../../sharding/group/sharded-group.ts';
import type { Identity } from '../../wire/identity.ts';
import type { AggregatorApi } from '../api.ts';

/** Where a group keeps what its links with the keepers come of: the secret of its seat until they are there, then what they are. */
export interface LinkStore {
  /** 32 bytes; drawn when it is first asked for. Null once there are links. */
  seatSecret(): Uint8Array | null;
  loadLinks(): GroupLinks | null;
  /** Stores the links in place of the secret. */
  saveLinks(links: GroupLinks): void;
}

/** What a group asks of its aggregator for that. */
export type ShardedApi = Pick<AggregatorApi, 'seats' | 'relay' | 'inbox' | 'task'>;

/** What a group has for its part in a sharded run. */
export interface ShardedMeans {
  readonly api: ShardedApi;
  readonly identity: Identity;
  readonly links: LinkStore;
  /** Public keys of the keepers that it accepts, agreed upon without the aggregator; null: any. */
  readonly keepers: readonly string[] | null;
  readonly signal: AbortSignal;
}
