import { asStage } from '../core/brand.ts';
import { sha256 } from '../core/digest.ts';
import type { GroupPart, RoundContext } from '../privacy/protection.ts';
import type { Place } from '../round/group.ts';
import { freshSecret, isSignedBy } from '../wire/identity.ts';
import { runDigest } from '../wire/run-definition.ts';
import type { ProtectedUpdate, Update } from '../wire/stages.ts';
import { encodeSubmission } from '../wire/submission.ts';
import { sitsOut } from './failures.ts';
import type { GroupMemory } from './group-memory.ts';
import type { GroupRecord } from './group-record.ts';
import type { ParticipantOptions } from './participation.ts';
import { Peers } from './peers.ts';
import { spendRound } from './spending.ts';

/** Longest thing that a step shows, in bytes: lists of tens of thousands of groups. */
const MOST_SHOWN_BYTES = 2 ** 25;

/**
 * A group's part in the attempt of a round that is under way. All that its replies follow from is in the store before one is
 * made: asked again after a restart, it sends the same bytes, and whatever else it is shown then, it does not see.
 */
export class RoundPart {
  readonly #options: ParticipantOptions;
  readonly #memory: GroupMemory;
  readonly #peers: Peers;
  #part: { readonly of: string; readonly part: GroupPart } | undefined;

  constructor(options: ParticipantOptions, memory: GroupMemory) {
    this.#options = options;
    this.#memory = memory;
    this.#peers = new Peers(options, memory);
  }

  /**
   * The bytes of the reply to a step; `model` is the digest that the newest record names, `train` is called in the step that carries the update. Errors: ROUND_REFUSED where this group
   * takes no further part in this attempt, AGGREGATOR_UNTRUSTED, and those of training.
   */
  async reply(place: Place, model: string, train: () => Promise<Update>): Promise<Uint8Array> {
    const { work, group } = this.#options;
    const { protection } = work;
    const { round, step } = place;
    const secret = this.#open(place);
    for (let shown = 1; shown <= step; shown++) await this.#hear({ ...place, step: shown }, shown === step);
    this.#spend(place);
    await protection.prepare();
    const part = this.#join(place, model, secret);
    const update = step === protection.updateStep ? await train() : null;
    this.#peers.drop();
    const payload = part.answer(step, update);
    this.#peers.keep();
    const run = runDigest(this.#options.definition);
    const message: ProtectedUpdate = asStage({ group, round, protection: protection.name, payload });
    const { bytes, digest } = encodeSubmission(message, { run, model, step });
    this.#checkSame(place, digest);
    // From here on the update may come to be in a sum: in no other attempt, so that no two sums differ by what it is.
    if (protection.steps[step]?.once === true) this.#options.store.saveOpened(run, round);
    return bytes;
  }

  /** Whether the aggregator is kept from seeing updates: then no two things may be sent in one place. */
  get #hides(): boolean {
    return this.#options.work.protection.reveals === 'sum';
  }

  /** Refuses a round that the group has no budget for before it begins, and pays before the update is made. */
  #spend({ round, attempt, step }: Place): void {
    const { work, store, definition } = this.#options;
    const { guarantee, updateStep } = work.protection;
    if (guarantee === null || step > updateStep) return;
    spendRound(store, guarantee, { run: runDigest(definition), round, attempt }, step < updateStep);
  }

  /** The secret of an attempt: drawn when it begins, and stored before anything is made with it. */
  #open({ round, attempt }: Place): string {
    const { attempt: open } = this.#memory.record;
    if (open?.round === round && open.attempt === attempt) return open.secret;
    const { store, definition } = this.#options;
    if (this.#hides && store.loadOpened(runDigest(definition)) >= round) {
      throw sitsOut(
        round,
        'it sent its update in another attempt, and two sums of one round would tell what their difference is',
        'Who runs the aggregator can start the run again: it then skips this round.',
      );
    }
    const secret = freshSecret();
    this.#memory.save({ attempt: { round, attempt, secret } });
    store.forgetShown({ round, attempt });
    return secret;
  }

  /** Drops the secret of an attempt whose round is over, and what was shown in it: who gets hold of the folder later must not find them. */
  dropUpTo(round: number): void {
    const { attempt } = this.#memory.record;
    if (attempt === null || attempt.round > round) return;
    this.#options.store.forgetShown(null);
    this.#memory.save({ attempt: null });
  }

  /** What a step shows is fetched once, and kept before it is looked at. */
  async #hear(place: Place, fetch: boolean): Promise<void> {
    const { store, api } = this.#options;
    if (store.loadShown(place) !== null) return;
    if (!fetch) throw sitsOut(place.round, `what step ${place.step} showed is lost here`);
    store.saveShown(place, await api.shown(place, MOST_SHOWN_BYTES));
  }

  #join({ round, attempt }: Place, model: string, secret: string): GroupPart {
    const of = `${round}/${attempt}`;
    if (this.#part?.of === of) return this.#part.part;
    const { definition, group, identity, store, work, readersKey = null } = this.#options;
    const { parameters } = definition.plan;
    const context: RoundContext = { run: runDigest(definition), round, attempt, model, parameters };
    const part = work.protection.join({
      context,
      group,
      identity,
      secret: Buffer.from(secret, 'hex'),
      heard: (step) => store.loadShown({ round, attempt, step }) ?? new Uint8Array(),
      peers: this.#peers,
      verify: isSignedBy,
      ...(readersKey === null ? {} : { readersKey }),
    });
    this.#part = { of, part };
    return part;
  }

  /** Digests of what was sent in the attempt of a place, by step. */
  #sentIn({ round, attempt }: Place): readonly (string | null)[] {
    const { sent } = this.#memory.record;
    return sent?.round === round && sent.attempt === attempt ? sent.digests : [];
  }

  /** Made again, a reply must be what may have been sent: one mask never hides two updates. */
  #checkSame(place: Place, digest: string): void {
    const before = this.#sentIn(place)[place.step] ?? digest;
    if (!this.#hides || before === digest) return;
    throw sitsOut(place.round, 'what was to be sent is lost, and training gave another update');
  }

  /** What was sent in the attempt, with bytes that are about to be. */
  sentAs(place: Place, bytes: Uint8Array): GroupRecord['sent'] {
    const { round, attempt, step } = place;
    const before = this.#sentIn(place);
    const length = Math.max(step + 1, before.length);
    const digests = Array.from({ length }, (_, index) =>
      index === step ? sha256(bytes) : (before[index] ?? null),
    );
    return { round, attempt, digests };
  }
}
