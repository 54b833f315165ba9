import { asStage } from '../../core/brand.ts';
import { hexOf } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import type { Aggregate } from '../../wire/stages.ts';
import type { ReadSum, RoundContext } from '../protection.ts';
import { openSealed } from '../secure-sum/sealed-share.ts';
import { sumOfWords, wordsOf } from '../secure-sum/words.ts';
import { addCiphertext, emptySum } from './ciphertext.ts';
import type { Chances } from './decode.ts';
import { type MemberShare, type OpenedSum, openSum } from './open-sum.ts';
import { answerKey, readersChances } from './readers.ts';
import { unpackElement } from './ring.ts';
import { seedOf } from './roster.ts';
import { readSealedSum, type SealedSum } from './sealed-sum.ts';
import type { SealSettings } from './settings.ts';

type KnownContext = Omit<RoundContext, 'attempt'>;

function untrusted(round: number, reason: string): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', `the sealed sum of round ${round}: ${reason}`, {
    hint: 'Nothing of it was used. Ask the people who run the aggregator.',
  });
}

/** The answers that open, as shares of the sum's key. */
function sharesOf(sealedSum: SealedSum, context: KnownContext, readersKey: Uint8Array): MemberShare[] {
  const { attempt, members, threshold, survivors } = sealedSum;
  const committee = { members, threshold };
  const asked = { context: { ...context, attempt }, roster: hexOf(sealedSum.roster), committee, survivors };
  return sealedSum.answers.flatMap(({ x, sealed }) => {
    const member = members[x - 1]!;
    const opened = openSealed(answerKey(readersKey, asked, member), sealed);
    const share = opened === null ? null : unpackElement(opened);
    return share === null ? [] : [{ member, x, share }];
  });
}

/** The words of the sum, and whose shares do not fit; null where nothing opens it. */
function opened(
  settings: SealSettings,
  { sum: wire, roster, threshold }: SealedSum,
  known: { readonly parameters: number; readonly shares: readonly MemberShare[]; readonly chances: Chances },
): OpenedSum | null {
  const { parameters, shares, chances } = known;
  if (shares.length < threshold) return null;
  const { plan, grid } = settings;
  const words = wordsOf(parameters, grid);
  const sum = emptySum(plan, words);
  invariant(addCiphertext(sum, wire, plan), 'a sum whose length was checked');
  return openSum({ plan, sum, words, seed: seedOf(hexOf(roster)), shares, threshold, chances });
}

/**
 * A reader's side: opens the answers, and with them the sum. A function of its arguments, so that all readers come to the same. Fewer right
 * answers than the threshold, or none that fit the sum, open nothing: that is no error, for then readers would tell the aggregator by
 * what they do whether a sum that it changed opens. Errors: AGGREGATOR_UNTRUSTED for what cannot be a sealed sum of this round, which
 * anybody can see.
 */
export function openSealedSum(
  settings: SealSettings,
  frame: Uint8Array,
  context: KnownContext,
  readersKey: Uint8Array,
): ReadSum {
  const { run, round, model, parameters } = context;
  const sealedSum = readSealedSum(frame, settings, parameters);
  if (sealedSum === null) throw untrusted(round, 'it cannot be read');
  if (sealedSum.run !== run || sealedSum.round !== round) throw untrusted(round, 'it is of another round');
  // Otherwise a group that was away could be told another past that ends in the same sum.
  if (sealedSum.model !== model) throw untrusted(round, 'it does not go on from the one before it');
  const { members, survivors, answers } = sealedSum;
  const shares = sharesOf(sealedSum, context, readersKey);
  const chances = readersChances(readersKey, sha256(frame));
  const sum = opened(settings, sealedSum, { parameters, shares, chances });
  // Where none opens, it is not members that are wrong: the key is another, or something else was passed on.
  if (shares.length === 0) return { aggregate: null, impossible: false, accused: [] };
  const fitting = new Set(shares.map(({ member }) => member));
  for (const liar of sum?.liars ?? []) fitting.delete(liar);
  const accused = answers.flatMap(({ x }) => (fitting.has(members[x - 1]!) ? [] : [members[x - 1]!]));
  if (sum === null) return { aggregate: null, impossible: false, accused };
  const aggregate: Aggregate = asStage({
    round,
    groups: [...survivors],
    ...sumOfWords(sum.words, settings),
  });
  return { aggregate, impossible: false, accused };
}
