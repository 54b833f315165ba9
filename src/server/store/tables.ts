import type { ColumnType, Generated } from 'kysely';
import type { AggregatorState } from '../../round/aggregator-state.ts';
import type { ModelRecord } from '../../wire/model-record.ts';
import type { RunDefinition } from '../../wire/run-definition.ts';
import type { CrewMemory } from '../relay/crew.ts';

/** A jsonb column: read as a value, written as its JSON text. */
type Json<Value> = ColumnType<Value, string, string>;

/** One run; its row is locked by whoever changes anything of the run. Times are milliseconds since 1970. */
export interface RunsTable {
  id: string;
  digest: string;
  definition: ColumnType<RunDefinition, string, never>;
  state: Json<AggregatorState>;
  /** Copies of what the state says, to search by. */
  phase: AggregatorState['phase'];
  round: number;
  deadline_at: number | null;
  /** What the strategy remembers: CBOR. */
  strategy_state: Buffer;
  /** What is remembered of the keepers of a sharded run; null before it is known. */
  crew: ColumnType<CrewMemory | null, string | undefined, string>;
  created_at: number;
}

/** A group in a run. Whoever left or was revoked keeps the row, so that nobody else takes the name. */
export interface MembersTable {
  run: string;
  group_id: string;
  public_key: string;
  joined_at: number;
  left_at: number | null;
  revoked_at: number | null;
  last_seen_at: number | null;
  /** Of its seat in a sharded run; null without one. */
  agreement_key: string | null;
  seat_signature: string | null;
  /** In which order seats were taken after the run began; null of one that was taken before. */
  late: number | null;
}

/** A keeper of a sharded run; without a seat it has no stage yet. */
export interface KeepersTable {
  run: string;
  public_key: string;
  joined_at: number;
  last_seen_at: number | null;
  revoked_at: number | null;
  stage: number | null;
  /** In which order seats were taken: the first of a stage keeps it, the others stand by. */
  place: number | null;
  agreement_key: string | null;
  seat_signature: string | null;
  /** As of a group. */
  late: number | null;
}

/** A stage that its keeper left sealed; its bytes are a blob. */
export interface DepositsTable {
  run: string;
  stage: number;
  id: string;
  epoch: number;
  round: number;
  /** Public key of who left it. */
  keeper: string;
  blob: string;
  /** In the order in which they came. */
  seq: Generated<number>;
}

/** What somebody is invited as. */
export type InvitedRole = 'group' | 'keeper';

/** Invitations by the digest of their token; a key on the allow-list is an invitation for that key. */
export interface InvitationsTable {
  token_digest: string;
  run: string;
  group_id: string | null;
  expires_at: number;
  /** The key that used it, or the only one that may. */
  public_key: string | null;
  /** What it admits as. */
  role: ColumnType<InvitedRole, InvitedRole | undefined, InvitedRole>;
}

/** Nonces of signed requests, until their time has passed. */
export interface NoncesTable {
  public_key: string;
  nonce: string;
  expires_at: number;
}

/** An upload under way or complete and not yet submitted. */
export interface UploadsTable {
  id: string;
  run: string;
  group_id: string;
  digest: string;
  size: number;
  received: number;
  /** Where each part begins, ascending. */
  offsets: Json<number[]>;
  complete: boolean;
  touched_at: number;
}

/** An accepted submission. */
export interface SubmissionsTable {
  run: string;
  round: number;
  step: number;
  group_id: string;
  digest: string;
  blob: string;
  size: number;
  /** Part of the round's capacity that it takes. */
  capacity: number;
  accepted_at: number;
  /** What later steps of the round must know of it without its bytes. */
  note: Buffer | null;
  /** Whether its bytes are still kept: until the round is in a model. */
  kept: boolean;
}

/** The published models. */
export interface ModelsTable {
  run: string;
  round: number;
  record: Json<ModelRecord>;
  uploaded_bytes: number;
  published_at: number;
}

/** What a group says of a model on its own answers. */
export interface ScoresTable {
  run: string;
  round: number;
  group_id: string;
  alignment: number;
  questions: number;
  loss: number | null;
}

/** What the scores of one model add up to, where no single one is known. */
export interface ScoreSumsTable {
  run: string;
  round: number;
  groups: number;
  sum: number;
  sum_of_squares: number;
}

/** What happened, in order; within a run ascending `seq` is the order of commits. */
export interface EventsTable {
  seq: Generated<number>;
  run: string;
  at: number;
  type: string;
  data: Json<Record<string, unknown>>;
}

export interface Tables {
  runs: RunsTable;
  members: MembersTable;
  keepers: KeepersTable;
  deposits: DepositsTable;
  invitations: InvitationsTable;
  nonces: NoncesTable;
  uploads: UploadsTable;
  submissions: SubmissionsTable;
  models: ModelsTable;
  scores: ScoresTable;
  score_sums: ScoreSumsTable;
  events: EventsTable;
}
