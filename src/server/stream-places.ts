import { normalizeIP } from '@fastify/rate-limit';
import { PluralError } from '../core/errors.ts';

/** Open streams of one process and of one address: each looks into the database twice a second, for as long as it likes. */
const MOST_STREAMS = 256;
const MOST_OF_ADDRESS = 32;

/** Places for event streams. Who finds none can poll: that tells the same. */
export class StreamPlaces {
  readonly #taken = new Map<string, number>();
  #all = 0;

  /** Takes a place; the answer gives it back, once. Errors: RATE_LIMITED. */
  take(ip: string): () => void {
    const address = normalizeIP(ip);
    const taken = this.#taken.get(address) ?? 0;
    if (this.#all >= MOST_STREAMS || taken >= MOST_OF_ADDRESS) {
      throw new PluralError('RATE_LIMITED', 'too many event streams are open', {
        hint: 'Close some, or ask for the status of the run now and then.',
      });
    }
    this.#all++;
    this.#taken.set(address, taken + 1);
    return () => this.#leave(address);
  }

  #leave(address: string): void {
    this.#all--;
    const left = (this.#taken.get(address) ?? 1) - 1;
    if (left === 0) this.#taken.delete(address);
    else this.#taken.set(address, left);
  }
}
