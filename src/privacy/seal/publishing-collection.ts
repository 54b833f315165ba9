import { bytesFrom } from '../../core/bytes.ts';
import { invariant } from '../../core/errors.ts';
import type { Aggregate, ProtectedUpdate } from '../../wire/stages.ts';
import type { SealingCollection } from '../protection.ts';
import { refused } from '../secure-sum/collection.ts';
import { type Answered, CipherCollection } from './cipher-collection.ts';
import { packSum } from './ciphertext.ts';
import { answerMessage } from './messages.ts';
import { writeSealedSum } from './sealed-sum.ts';

/**
 * An aggregator that opens nothing: members' answers are sealed for those who have the readers' key, and it can only count them. It publishes
 * them with the sum.
 */
export class PublishingCollection extends CipherCollection<Uint8Array> implements SealingCollection {
  publish(): Uint8Array {
    this.end();
    const { sum, answers, survivors } = this.toOpen();
    const { run, round, attempt, model } = this.context;
    const { digest, committee } = this.roster;
    return writeSealedSum({
      run,
      round,
      attempt,
      model,
      roster: bytesFrom(digest),
      ...committee,
      survivors,
      answers: answers.map(({ x, answer }) => ({ x, sealed: answer })),
      sum: packSum(sum, this.settings.plan),
    });
  }

  protected override readAnswer(reply: ProtectedUpdate): Answered<Uint8Array> {
    const message = answerMessage.read(reply.payload);
    if (message === null) throw refused('UPDATE_MALFORMED', reply, 'its answer cannot be read');
    return { roster: message.roster, answer: message.sealed };
  }

  protected override open(): Aggregate {
    invariant(false, 'a sum that is published is not opened here');
  }
}
