/** Bytes of the length that a frame begins with. */
export const FRAME_HEAD_BYTES = 4;

/** Bytes with their number in front, big-endian: who fetches them in parts knows from the first four how many there are. */
export function framed(...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(length);
  return Buffer.concat([head, ...parts]);
}

/** Bytes of a whole frame, its head among them; null for fewer bytes than a head. */
export function frameBytes(beginning: Uint8Array): number | null {
  if (beginning.byteLength < FRAME_HEAD_BYTES) return null;
  const view = new DataView(beginning.buffer, beginning.byteOffset, FRAME_HEAD_BYTES);
  return FRAME_HEAD_BYTES + view.getUint32(0);
}

/** What `framed` put in a frame; null where the length is another. */
export function unframed(frame: Uint8Array): Uint8Array | null {
  return frameBytes(frame) === frame.byteLength ? frame.subarray(FRAME_HEAD_BYTES) : null;
}
