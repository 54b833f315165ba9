import type { CipherText } from 'node-seal/implementation/cipher-text.js';
import { loadLibrary } from '../src/privacy/seal/seal-objects.ts';

/** A vector under encryption as frameworks in wide use do it. */
export interface Peer {
  /** Encodes and encrypts a vector with the public key. */
  encrypt(values: Float64Array): readonly CipherText[];
  /** Bytes of a ciphertext on the wire, compressed as SEAL does. */
  bytesOf(ciphertext: CipherText): number;
  /** What comes in for a vector, not compressed: quicker to read. */
  write(ciphertexts: readonly CipherText[]): readonly Uint8Array[];
  /** Reads a vector that came in, and adds it to a sum. */
  add(sum: readonly CipherText[], wire: readonly Uint8Array[]): void;
  free(ciphertexts: readonly CipherText[]): void;
}

const DEGREE = 8192;
const SLOTS = DEGREE / 2;
const BITS = [60, 40, 40, 60];
const SCALE = 2 ** 40;

/** CKKS with 8,192 coefficients and primes of 60, 40, 40 and 60 bits under a public key: what TenSEAL's examples, and what builds on them, use. */
export async function ckks8192(): Promise<Peer> {
  const seal = await loadLibrary();
  const parameters = seal.EncryptionParameters(seal.SchemeType.ckks);
  parameters.setPolyModulusDegree(DEGREE);
  parameters.setCoeffModulus(seal.CoeffModulus.Create(DEGREE, Int32Array.from(BITS)));
  const context = seal.Context(parameters, true, seal.SecurityLevel.tc128);
  const keys = seal.KeyGenerator(context);
  const encryptor = seal.Encryptor(context, keys.createPublicKey());
  const encoder = seal.CKKSEncoder(context);
  const evaluator = seal.Evaluator(context);
  const plain = seal.PlainText();
  const read = seal.CipherText();
  const { none, zstd } = seal.ComprModeType;
  return {
    encrypt: (values) =>
      Array.from({ length: Math.ceil(values.length / SLOTS) }, (_, index) => {
        encoder.encode(values.subarray(index * SLOTS, (index + 1) * SLOTS), SCALE, plain);
        const ciphertext = seal.CipherText();
        encryptor.encrypt(plain, ciphertext);
        return ciphertext;
      }),
    bytesOf: (ciphertext) => ciphertext.saveArray(zstd).byteLength,
    write: (ciphertexts) => ciphertexts.map((ciphertext) => ciphertext.saveArray(none)),
    add: (sum, wire) => {
      for (const [index, bytes] of wire.entries()) {
        read.loadArray(context, bytes);
        evaluator.add(sum[index]!, read, sum[index]!);
      }
    },
    free: (ciphertexts) => {
      for (const ciphertext of ciphertexts) ciphertext.delete();
    },
  };
}
