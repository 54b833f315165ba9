import { z } from 'zod';
import { canonicalJson, digestOf } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { type Identity, isSignedBy, signatureSchema } from './identity.ts';
import { digestSchema } from './run-definition.ts';

/**
 * The aggregator's word on the model of one round. Each record names the one before, so a group that knows one of them
 * can check that all later ones go on from it: the aggregator cannot tell one group two histories.
 */
const contentSchema = z.strictObject({
  /** Digest of the run's definition. */
  run: digestSchema,
  /** 0 is the start. */
  round: z.int().min(0),
  /** SHA-256 of the parameters. */
  model: digestSchema,
  /** Digest of the record of the round before; null at round 0. */
  previous: digestSchema.nullable(),
  /** How many groups' updates made it; 0 at round 0. */
  updates: z.int().min(0),
});
export const modelRecordSchema = contentSchema.extend({ signature: signatureSchema });

type RecordContent = z.output<typeof contentSchema>;
export type ModelRecord = z.output<typeof modelRecordSchema>;

function signedText(content: RecordContent): Uint8Array {
  return Buffer.from(`pluralllm-model-v1\n${canonicalJson(content)}`, 'utf8');
}

/** Signs what the aggregator publishes. */
export function signRecord(identity: Identity, content: RecordContent): ModelRecord {
  return { ...content, signature: identity.sign(signedText(content)) };
}

/** The name by which the next record refers to this one; the signature is not part of it. */
export function recordDigest({ signature: _, ...content }: ModelRecord): string {
  return digestOf(content);
}

function untrusted(round: number, reason: string): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', `the model of round ${round}: ${reason}`, {
    hint: 'Nothing of it was used. Ask the people who run the aggregator; do not go on before it is explained.',
  });
}

/**
 * Checks records in ascending order of rounds, after `known` (null: from round 0 on), and returns the last.
 * Errors: AGGREGATOR_UNTRUSTED for a wrong signature, another run, a gap, or a link that does not fit.
 */
export function checkChain(
  records: readonly ModelRecord[],
  expected: { readonly run: string; readonly aggregatorKey: string },
  known: ModelRecord | null,
): ModelRecord | null {
  let last = known;
  for (const record of records) {
    const { signature, ...content } = record;
    const { round } = record;
    if (!isSignedBy(expected.aggregatorKey, signedText(content), signature)) {
      throw untrusted(round, 'its signature is not that of the aggregator');
    }
    if (record.run !== expected.run) throw untrusted(round, 'it is of another run');
    if (round !== (last === null ? 0 : last.round + 1))
      throw untrusted(round, 'a round is missing before it');
    if (record.previous !== (last === null ? null : recordDigest(last))) {
      throw untrusted(round, 'it does not go on from the round before');
    }
    last = record;
  }
  return last;
}
