import type { CipherText } from 'node-seal/implementation/cipher-text.js';
import type { Context } from 'node-seal/implementation/context.js';
import type { Evaluator } from 'node-seal/implementation/evaluator.js';
import type { SEALLibrary } from 'node-seal/implementation/seal.js';
import { bytesOf } from '../../core/bytes.ts';
import { invariant } from '../../core/errors.ts';
import { reduce } from './modular.ts';
import { DEGREE, isElement, MODULUS_BITS, PRIMES, RESIDUES, type RingElement, zeroElement } from './ring.ts';
import { publicElements, uniformElement } from './sample.ts';
import { loadLibrary, SealObjects, translated } from './seal-objects.ts';

/** Bits of our primes, and of the one that SEAL wants besides. */
const PRIME_BITS = [22, 22, 22, 22, 21];
const EXTRA_PRIME_BITS = 30;
/** Elements in one ciphertext of SEAL. */
const PAIR = 2;
const BODY_BYTES = PAIR * RESIDUES * 8;
/** Where the header of a saved ciphertext says whether it is in NTT form: behind SEAL's own header of 16 bytes and the parms_id. */
const NTT_FLAG_AT = 48;

/** The transform of the ring, computed by SEAL. Everything is synchronous and exact. */
export interface SealRing {
  /** From coefficient form to NTT form. */
  toNtt(element: RingElement): RingElement;
  /** From NTT form to coefficient form. */
  fromNtt(element: RingElement): RingElement;
  /**
   * Gives the products of an element in NTT form with the public elements a_0..a_(count-1) of a seed, in coefficient form, one
   * after another. `use` must not keep the product: its memory serves for the next.
   */
  multiplyEach(
    seed: Uint8Array,
    element: RingElement,
    count: number,
    use: (index: number, product: RingElement) => void,
  ): void;
  /** Objects that live in SEAL's memory. */
  readonly objects: number;
}

/** SEAL has the same primes, and q is within what its table allows for 128 bits of security. */
function checkPrimes(library: SEALLibrary, objects: SealObjects): void {
  const { CoeffModulus, SecurityLevel } = library;
  const primes = objects.using(CoeffModulus.Create(DEGREE, Int32Array.from(PRIME_BITS)), (made) =>
    Array.from(made.toArray(), Number),
  );
  invariant(
    primes.length === PRIMES.length && PRIMES.every((prime, j) => prime === primes[j]),
    `SEAL's primes ${primes}`,
  );
  const most = CoeffModulus.MaxBitCount(DEGREE, SecurityLevel.tc128);
  invariant(MODULUS_BITS <= most, `a modulus of at most ${most} bits`);
}

/**
 * A context whose data level has exactly our primes. SEAL keeps the last prime of a chain for key switching, so there is one
 * more. Nothing is ever published modulo that prime; hence SEAL's own check of security, which would count it, is off, and
 * `checkPrimes` checks our primes instead.
 */
function makeContext(library: SEALLibrary, objects: SealObjects): Context {
  const { CoeffModulus, EncryptionParameters, SchemeType, SecurityLevel } = library;
  return objects.using(EncryptionParameters(SchemeType.ckks), (parameters) => {
    const bits = Int32Array.from([...PRIME_BITS, EXTRA_PRIME_BITS]);
    objects.using(CoeffModulus.Create(DEGREE, bits), (primes) => {
      parameters.setPolyModulusDegree(DEGREE);
      parameters.setCoeffModulus(primes);
    });
    return objects.keep(library.Context(parameters, true, SecurityLevel.none));
  });
}

/** A ciphertext of SEAL as a place for two elements. */
function makePair(library: SEALLibrary, objects: SealObjects, context: Context): CipherText {
  return objects.using(context.firstParmsId, (parmsId) => {
    const pair = objects.keep(library.CipherText({ context, parmsId, sizeCapacity: PAIR }));
    pair.resize(PAIR);
    invariant(pair.coeffModulusSize === PRIMES.length, 'a data level with our primes');
    return pair;
  });
}

/** product = a * b of values in NTT form. A product of two residues is below 2^44. */
function multiply(a: RingElement, b: RingElement, product: RingElement): void {
  for (const [j, prime] of PRIMES.entries()) {
    const inverse = 1 / prime;
    for (let at = j * DEGREE; at < (j + 1) * DEGREE; at++)
      product[at] = reduce(a[at]! * b[at]!, prime, inverse);
  }
}

class LoadedRing implements SealRing {
  readonly #library: SEALLibrary;
  readonly #objects = new SealObjects();
  readonly #context: Context;
  readonly #evaluator: Evaluator;
  readonly #pair: CipherText;
  /** A saved ciphertext: a header that SEAL wrote, and a body of 64-bit numbers, [element][prime][coefficient]. */
  readonly #saved: Uint8Array;
  /** The body to be loaded, as 32-bit words: each residue is the lower half of a number, and the upper half stays zero. */
  readonly #body = new Uint32Array(BODY_BYTES / 4);
  readonly #product = zeroElement();

  constructor(library: SEALLibrary) {
    this.#library = library;
    checkPrimes(library, this.#objects);
    this.#context = makeContext(library, this.#objects);
    this.#evaluator = this.#objects.keep(library.Evaluator(this.#context));
    this.#pair = makePair(library, this.#objects, this.#context);
    this.#saved = this.#pair.saveArray(library.ComprModeType.none);
    invariant(
      this.#saved.length > BODY_BYTES && this.#saved[NTT_FLAG_AT] === 0,
      'a ciphertext as SEAL saves it',
    );
  }

  get objects(): number {
    return this.#objects.count;
  }

  toNtt(element: RingElement): RingElement {
    return this.#transformed(element, true);
  }

  fromNtt(element: RingElement): RingElement {
    return this.#transformed(element, false);
  }

  multiplyEach(
    seed: Uint8Array,
    element: RingElement,
    count: number,
    use: (index: number, product: RingElement) => void,
  ): void {
    invariant(isElement(element), 'an element of the ring');
    const publicElement = publicElements(seed);
    const product = this.#product;
    for (let from = 0; from < count; from += PAIR) {
      const these = Math.min(PAIR, count - from);
      for (let i = 0; i < these; i++) {
        multiply(publicElement(from + i), element, product);
        this.#put(i, product);
      }
      const body = this.#transform(false);
      for (let i = 0; i < these; i++) {
        this.#take(i, body, product);
        use(from + i, product);
      }
    }
  }

  #transformed(element: RingElement, forward: boolean): RingElement {
    invariant(isElement(element), 'an element of the ring');
    this.#put(0, element);
    const result = zeroElement();
    this.#take(0, this.#transform(forward), result);
    return result;
  }

  #put(place: number, element: RingElement): void {
    const start = place * RESIDUES;
    for (let at = 0; at < RESIDUES; at++) this.#body[2 * (start + at)] = element[at]!;
  }

  #take(place: number, body: Uint32Array, element: RingElement): void {
    const start = place * RESIDUES;
    for (let at = 0; at < RESIDUES; at++) element[at] = body[2 * (start + at)]!;
  }

  /**
   * Both elements of the body, transformed. SEAL's loader is given a header that SEAL wrote, with the form set, and residues
   * that were computed or checked here; never bytes from elsewhere.
   */
  #transform(forward: boolean): Uint32Array {
    const headerBytes = this.#saved.length - BODY_BYTES;
    this.#saved[NTT_FLAG_AT] = forward ? 0 : 1;
    this.#saved.set(bytesOf(this.#body), headerBytes);
    const saved = translated(this.#library, () => {
      this.#pair.loadArray(this.#context, this.#saved);
      if (forward) this.#evaluator.cipherTransformToNtt(this.#pair, this.#pair);
      else this.#evaluator.cipherTransformFromNtt(this.#pair, this.#pair);
      return this.#pair.saveArray(this.#library.ComprModeType.none);
    });
    invariant(saved.length === this.#saved.length, 'a ciphertext as long as before');
    return new Uint32Array(saved.slice(headerBytes).buffer);
  }
}

/** Multiplying with X moves all coefficients up by one, and the last comes back with the other sign: checked with SEAL's own transform. */
function checkTransform(ring: SealRing): void {
  const element = uniformElement(new Uint8Array(32).fill(1));
  const x = zeroElement();
  for (const j of PRIMES.keys()) x[j * DEGREE + 1] = 1;
  const product = zeroElement();
  multiply(ring.toNtt(x), ring.toNtt(element), product);
  const moved = ring.fromNtt(product);
  const right = PRIMES.every((prime, j) => {
    const [first, last] = [j * DEGREE, (j + 1) * DEGREE - 1];
    if (moved[first] !== (prime - element[last]!) % prime) return false;
    return moved.subarray(first + 1, last + 1).every((value, i) => value === element[first + i]);
  });
  // Products that are zero would leave updates in clear.
  invariant(right, "products of SEAL's ring");
}

let loading: Promise<SealRing> | null = null;

async function load(): Promise<SealRing> {
  const library = await loadLibrary();
  return translated(library, () => {
    const ring = new LoadedRing(library);
    checkTransform(ring);
    return ring;
  });
}

/** The ring, loaded once for each process. Errors: INTERNAL where SEAL is not as expected. */
export function loadRing(): Promise<SealRing> {
  loading ??= load();
  return loading;
}
