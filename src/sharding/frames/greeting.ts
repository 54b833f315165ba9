import { digestOf } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { encodeCbor, readCbor } from '../../wire/cbor.ts';
import { type Greeting, type SignedGreeting, signedGreetingSchema } from '../../wire/greeting.ts';
import { type Identity, isSignedBy } from '../../wire/identity.ts';

/** Members of the longest greeting, which has others in it, and what holds them. */
const MOST_ITEMS = 8192;
/** Far more than a greeting has. */
const MOST_BYTES = 2 ** 18;
/** How CBOR of a greeting begins: a map of two, of which the first is called "greeting". Frames do not have to be read twice. */
const BEGINNING = Buffer.from('\xa2\x68greeting', 'latin1');

function signedBytes(greeting: Greeting): Uint8Array {
  return Buffer.from(['pluralllm-greeting-v1', digestOf(greeting)].join('\n'));
}

/** A greeting as it is carried: CBOR, signed by who sends it. */
export function signGreeting(greeting: Greeting, identity: Identity): Uint8Array {
  return encodeCbor({ greeting, signature: identity.sign(signedBytes(greeting)) });
}

/** The greeting in what was carried; null where it is something else, such as a frame. */
export function parseGreeting(bytes: Uint8Array): SignedGreeting | null {
  const isOne = BEGINNING.equals(bytes.subarray(0, BEGINNING.length)) && bytes.byteLength <= MOST_BYTES;
  return isOne ? readCbor(bytes, signedGreetingSchema, MOST_ITEMS) : null;
}

/** Refuses a greeting that its sender did not sign. Errors: SIGNATURE_INVALID. */
export function checkGreeting({ greeting, signature }: SignedGreeting): void {
  if (isSignedBy(greeting.from, signedBytes(greeting), signature)) return;
  throw new PluralError('SIGNATURE_INVALID', `a greeting of ${greeting.from} is not signed by it`, {
    hint: 'Somebody put another key in its place. Ask the people who run the aggregator before going on.',
  });
}
