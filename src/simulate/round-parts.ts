import { bytesFrom } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { invariant } from '../core/errors.ts';
import type {
  Collection,
  GroupPart,
  Protection,
  RoundContext,
  SealedSums,
  SealingCollection,
} from '../privacy/protection.ts';
import type { AggregatorState } from '../round/aggregator-state.ts';
import { identityOf, isSignedBy } from '../wire/identity.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../wire/stages.ts';

/** A secret of a simulated group: whoever knows the seed knows it, as whoever simulates knows everything. */
function secretOf(seed: number, ...path: readonly (string | number)[]): string {
  return sha256('pluralllm simulated secret\n', JSON.stringify([seed, ...path]));
}

/** Every group of a simulation checks the same signatures: each is computed once. */
export function rememberingCheck(): typeof isSignedBy {
  const known = new Map<string, boolean>();
  return (publicKey, message, signature) => {
    const key = sha256(publicKey, signature, message);
    const valid = known.get(key) ?? isSignedBy(publicKey, message, signature);
    known.set(key, valid);
    return valid;
  };
}

/** Both sides of one attempt of a simulated round, with the aggregator's messages handed straight to the groups. */
export class RoundParts {
  readonly #protection: Protection;
  readonly #context: RoundContext;
  readonly #seed: number;
  readonly #collection: Collection;
  /** Reads the sum as the groups do; null where the aggregator opens it. */
  readonly #reader: { readonly collection: SealingCollection; readonly sealedSums: SealedSums } | null;
  readonly #parts = new Map<string, { readonly part: GroupPart; readonly heard: Map<number, Uint8Array> }>();
  readonly #verify = rememberingCheck();

  constructor(protection: Protection, context: RoundContext, seed: number) {
    this.#protection = protection;
    this.#context = context;
    this.#seed = seed;
    const { sealedSums } = protection;
    const sealing = sealedSums?.collect(context) ?? null;
    this.#reader = sealing === null || sealedSums === null ? null : { collection: sealing, sealedSums };
    this.#collection = sealing ?? protection.collect(context);
  }

  /** A group's reply to a step, and how much it was shown for it. */
  answer(step: number, group: string, update: Update | null): { payload: Uint8Array; shownBytes: number } {
    const { part, heard } = this.#partOf(group);
    const shown = this.#collection.show(step, group);
    heard.set(step, shown);
    return { payload: part.answer(step, update), shownBytes: shown.byteLength };
  }

  add(step: number, reply: ProtectedUpdate): void {
    this.#collection.add(step, reply);
  }

  /** Ends a step with those whose replies the aggregator's machine lists. */
  close({ replies }: AggregatorState, step: number): void {
    this.#collection.close(
      step,
      (replies[step] ?? []).map(({ group }) => group),
    );
  }

  /** Why the sum cannot be opened; null where it can. */
  lacks(): string | null {
    return this.#collection.lacks();
  }

  /** The sum, and the bytes that each group fetches to read it itself; none where the aggregator reads it. */
  finish(): { readonly aggregate: Aggregate; readonly sealedBytes: number } {
    if (this.#reader === null) return { aggregate: this.#collection.finish(), sealedBytes: 0 };
    const { collection, sealedSums } = this.#reader;
    const sealed = collection.publish();
    const { aggregate } = sealedSums.read(sealed, this.#context, this.#readersKey());
    invariant(aggregate !== null, 'the groups of a simulation answer rightly');
    return { aggregate, sealedBytes: sealed.byteLength };
  }

  #readersKey(): Uint8Array {
    return bytesFrom(secretOf(this.#seed, 'readers'));
  }

  #partOf(group: string) {
    const known = this.#parts.get(group);
    if (known !== undefined) return known;
    const heard = new Map<number, Uint8Array>();
    const { round, attempt } = this.#context;
    const part = this.#protection.join({
      context: this.#context,
      group,
      identity: identityOf(secretOf(this.#seed, 'identity', group)),
      secret: Buffer.from(secretOf(this.#seed, 'round', group, round, attempt), 'hex'),
      heard: (step) => heard.get(step)!,
      // All groups of a simulation are its own.
      peers: { least: 1, trusts: () => true },
      verify: this.#verify,
      ...(this.#reader === null ? {} : { readersKey: this.#readersKey() }),
    });
    this.#parts.set(group, { part, heard });
    return { part, heard };
  }
}
