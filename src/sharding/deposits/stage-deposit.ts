import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { hexOf } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { joinSecret, type Share, splitSecret } from '../../privacy/mask/shamir.ts';
import { encodeCbor, readCbor } from '../../wire/cbor.ts';
import { type Identity, isSignedBy, signatureSchema } from '../../wire/identity.ts';
import { type DepositHeader, depositHeaderSchema } from '../../wire/stage-deposit.ts';
import { packFrame, unpackFrame } from '../frames/payload.ts';
import { SEAL_BYTES, sealBytes, unsealBytes } from '../frames/sealed-bytes.ts';
import { otherStages } from '../frames/seats.ts';
import { frameOfStage, stageOfFrame } from '../keeper/stage-frame.ts';
import type { PartMemory } from '../parts/part-state.ts';

const KEY_BYTES = 32;
const ID_BYTES = 16;
/** Keys and values of the header, its marks, and the three members. */
const MOST_ITEMS = 512;

const depositSchema = z.strictObject({
  header: depositHeaderSchema,
  sealed: z.instanceof(Uint8Array),
  signature: signatureSchema,
});

/** A stage that its keeper left with the aggregator, which cannot read it. */
export type StageDeposit = z.output<typeof depositSchema>;

/** What a deposit is made of. */
export interface DepositContent extends Pick<DepositHeader, 'run' | 'stage' | 'epoch' | 'round'> {
  readonly memory: PartMemory;
  /** Width of the vectors between parts. */
  readonly width: number;
  /** How many stages there are. */
  readonly stages: number;
  /** Of how many other stages a holder is needed to open it. */
  readonly threshold: number;
}

/** A deposit that was just made. */
export interface MadeDeposit {
  readonly header: DepositHeader;
  readonly bytes: Uint8Array;
  /** The share of its key that the holders of each other stage are to have, 32 bytes each. */
  readonly shares: ReadonlyMap<number, Uint8Array>;
}

/** What the holders of a stage say is their share. */
export interface StageShare {
  readonly stage: number;
  readonly share: Uint8Array;
}

/** A deposit, or an order about one, that cannot be what it should be. */
export function depositRefused(reason: string): PluralError {
  return new PluralError('DEPOSIT_REFUSED', `the deposit of a stage was refused: ${reason}`, {
    hint: 'An older one may do; otherwise the run waits for the folder of the keeper.',
  });
}

function signedBytes({ header, sealed }: Pick<StageDeposit, 'header' | 'sealed'>): Uint8Array {
  return Buffer.from(['pluralllm-deposit-v1', sha256(encodeCbor(header)), sha256(sealed)].join('\n'));
}

/** What shows that a share is the one that was made; of 32 random bytes it tells nothing. */
function markOf({ run, id }: Pick<DepositHeader, 'run' | 'id'>, { stage, share }: StageShare): string {
  return sha256(Buffer.from(['pluralllm-share-v1', run, id, stage, hexOf(share)].join('\n')));
}

/** Shares are numbered from 1: at 0 is the key itself. */
const numberOf = (stage: number) => stage + 1;

function split(key: Uint8Array, others: readonly number[], threshold: number): StageShare[] {
  const coefficients = randomBytes((threshold - 1) * KEY_BYTES);
  const shares = splitSecret({ secret: key, threshold, xs: others.map(numberOf), coefficients });
  coefficients.fill(0);
  return shares.map((share, index) => ({ stage: others[index]!, share }));
}

/** The stage with its moments in float64, under a key that seals nothing else, with the header bound to it: nonce, numbers, tag. */
function sealedStage(
  { memory, width }: DepositContent,
  header: DepositHeader,
  key: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = frameOfStage(memory, width);
  const numbers = packFrame(frame, 'float64');
  const sealed = sealBytes(key, numbers, encodeCbor(header));
  for (const clear of [numbers, frame.data]) clear.fill(0);
  return sealed;
}

/** Seals a stage under a key that is drawn for it, split among the holders of the other stages, and forgotten. */
export function sealDeposit(content: DepositContent, identity: Identity): MadeDeposit {
  const { run, stage, epoch, round, stages, threshold } = content;
  const key = randomBytes(KEY_BYTES);
  const shares = split(key, otherStages(stage, stages), threshold);
  const id = hexOf(randomBytes(ID_BYTES));
  const marks = shares.map((share) => markOf({ run, id }, share));
  const header: DepositHeader = { run, stage, epoch, round, id, from: identity.publicKey, marks };
  const sealed = sealedStage(content, header, key);
  key.fill(0);
  const signature = identity.sign(signedBytes({ header, sealed }));
  const bytes = encodeCbor({ header, sealed, signature });
  return { header, bytes, shares: new Map(shares.map((one) => [one.stage, one.share])) };
}

/** Reads a deposit and checks that who it names signed it. Errors: DEPOSIT_REFUSED. */
export function readDeposit(bytes: Uint8Array): StageDeposit {
  const deposit = readCbor(bytes, depositSchema, MOST_ITEMS);
  if (deposit === null) throw depositRefused('it cannot be read');
  const { header, signature } = deposit;
  if (isSignedBy(header.from, signedBytes(deposit), signature)) return deposit;
  throw depositRefused('who is said to have made it did not sign it');
}

/** Of each stage one share that bears its mark, as far as there are such. */
function rightShares(header: DepositHeader, told: readonly StageShare[]): Share[] {
  const others = otherStages(header.stage, header.marks.length + 1);
  return others.flatMap((stage, index) => {
    const right = told.find((one) => one.stage === stage && markOf(header, one) === header.marks[index]);
    return right === undefined ? [] : [{ x: numberOf(stage), share: right.share }];
  });
}

/**
 * The stage in a deposit that `readDeposit` gave, for one of `size` parameters, by what the holders of other stages told: wrong shares among those that are right do no harm.
 * Errors: DEPOSIT_REFUSED where fewer than `threshold` are right, where they do not open it, and where something else is in it.
 */
export function openDeposit(
  deposit: StageDeposit,
  told: readonly StageShare[],
  { threshold, size, width }: { readonly threshold: number; readonly size: number; readonly width: number },
): PartMemory {
  const right = rightShares(deposit.header, told);
  if (right.length < threshold) {
    throw depositRefused(
      `holders of ${right.length} other stage(s) told their share, ${threshold} are needed`,
    );
  }
  if (deposit.sealed.byteLength < SEAL_BYTES) throw depositRefused('it does not open');
  const key = joinSecret(right, threshold);
  const bytes = unsealBytes(key, deposit.sealed, encodeCbor(deposit.header));
  key.fill(0);
  if (bytes === null) throw depositRefused('it does not open');
  const rows = Math.ceil((3 * size + 1) / width);
  const frame = unpackFrame(bytes, { type: 'float64', rows, width });
  bytes.fill(0);
  if (frame === null) throw depositRefused('no stage of this size is in it');
  return stageOfFrame(frame, size, width);
}
