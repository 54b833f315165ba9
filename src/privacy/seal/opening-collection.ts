import { asStage } from '../../core/brand.ts';
import { PluralError } from '../../core/errors.ts';
import type { Aggregate, ProtectedUpdate } from '../../wire/stages.ts';
import { refused } from '../secure-sum/collection.ts';
import { sumOfWords, wordsOf } from '../secure-sum/words.ts';
import { type Answered, CipherCollection } from './cipher-collection.ts';
import { openMessage } from './messages.ts';
import { openSum } from './open-sum.ts';
import { type RingElement, unpackElement } from './ring.ts';

/**
 * An aggregator that opens the sum: of the members it sees each one share of the key of the sum, and with as many as the threshold it reads
 * the sum of those who survived, all of them together or none.
 */
export class OpeningCollection extends CipherCollection<RingElement> {
  #accused: readonly string[] = [];

  override accused(): readonly string[] {
    return this.#accused;
  }

  protected override readAnswer(reply: ProtectedUpdate): Answered<RingElement> {
    const message = openMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its share cannot be read');
    const { roster, share } = message;
    if (share === null) return { roster, answer: null };
    const answer = unpackElement(share);
    if (answer === null) throw refused('UPDATE_MALFORMED', reply, 'its share is no element of the ring');
    return { roster, answer };
  }

  protected override open(): Aggregate {
    const { round, parameters } = this.context;
    const { committee, seed } = this.roster;
    const { threshold } = committee;
    const { sum, answers, survivors } = this.toOpen();
    const shares = answers.map(({ answer, ...place }) => ({ ...place, share: answer }));
    const { plan, grid } = this.settings;
    const opened = openSum({ plan, sum, words: wordsOf(parameters, grid), seed, shares, threshold });
    if (opened === null) {
      throw new PluralError(
        'ROUND_FAILED',
        `round ${round}: no ${threshold} of the ${shares.length} shares open the sum, or more than one sum: members gave wrong ones, or a group dealt wrong ones`,
        { hint: 'Start the run again: it skips this round. Ask the groups what they run.' },
      );
    }
    this.#accused = opened.liars;
    return asStage({ round, groups: [...survivors], ...sumOfWords(opened.words, this.settings) });
  }
}
