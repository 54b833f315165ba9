import { z } from 'zod';
import { sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { encodeCbor, readCbor } from '../../wire/cbor.ts';
import { type Identity, isSignedBy, signatureSchema } from '../../wire/identity.ts';
import { type FrameHeader, frameHeaderSchema } from '../../wire/shard-frame.ts';
import type { Frame } from '../parts/part-session.ts';
import type { Link } from './link.ts';
import { packFrame, payloadBytes, unpackFrame } from './payload.ts';
import { SEAL_BYTES, sealBytes, unsealBytes } from './sealed-bytes.ts';

/** Keys and values of the header, and the three members. */
const MOST_ITEMS = 64;

const frameSchema = z.strictObject({
  header: frameHeaderSchema,
  sealed: z.instanceof(Uint8Array),
  signature: signatureSchema,
});

/** A frame as it is carried: anybody can read where it goes, and nothing of what is in it. */
export type SealedFrame = z.output<typeof frameSchema>;

function refused(reason: string): PluralError {
  return new PluralError('FRAME_REFUSED', `a frame was refused: ${reason}`, {
    hint: 'It was changed on its way, or its sender runs something else. The round can be tried again.',
  });
}

function signedBytes({ header, sealed }: Pick<SealedFrame, 'header' | 'sealed'>): Uint8Array {
  return Buffer.from(['pluralllm-frame-v1', sha256(encodeCbor(header)), sha256(sealed)].join('\n'));
}

/** Packs, seals and signs a frame: AES-256-GCM under the link's key of the direction, with the header bound to it. */
export function sealFrame(frame: Frame, header: FrameHeader, link: Link, identity: Identity): Uint8Array {
  const sealed = sealBytes(link.sealKey(header.from), packFrame(frame, header.type), encodeCbor(header));
  const signature = identity.sign(signedBytes({ header, sealed }));
  return encodeCbor({ header, sealed, signature });
}

/** What a relay does with a frame whose sender it knows otherwise: reads where it goes, and checks that it is no longer than it says. Errors: FRAME_REFUSED. */
export function parseFrame(bytes: Uint8Array): SealedFrame {
  const frame = readCbor(bytes, frameSchema, MOST_ITEMS);
  if (frame === null) throw refused('it cannot be read');
  const { header, sealed } = frame;
  const { type, rows, width } = header;
  if (sealed.byteLength !== payloadBytes(type, rows, width) + SEAL_BYTES) {
    throw refused('its length is not that of its shape');
  }
  return frame;
}

/** The same, and checks that its sender signed it. Errors: FRAME_REFUSED. */
export function readFrame(bytes: Uint8Array): SealedFrame {
  const frame = parseFrame(bytes);
  const { header, signature } = frame;
  if (!isSignedBy(header.from, signedBytes(frame), signature)) throw refused('its sender did not sign it');
  return frame;
}

/** The numbers of a frame that `readFrame` gave. Errors: FRAME_REFUSED where it was sealed under another key or changed; NOT_FINITE. */
export function openFrame({ header, sealed }: SealedFrame, link: Link): Frame {
  const bytes = unsealBytes(link.sealKey(header.from), sealed, encodeCbor(header));
  if (bytes === null) throw refused('it does not open');
  const frame = unpackFrame(bytes, header);
  if (frame === null) {
    throw new PluralError('NOT_FINITE', 'a frame between two parts of the model has NaN or infinity in it', {
      hint: 'Training diverged: lower training.learningRate, or raise predictor.stdFloor.',
    });
  }
  return frame;
}
