/** The raw little-endian bytes of a typed array, without a copy. All supported platforms are little-endian. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A float32 vector read from raw bytes; copies, so that the offset need not be aligned. */
export function float32From(bytes: Uint8Array): Float32Array {
  // Not `slice`: that of a Buffer copies nothing, and its memory may be a pool of many.
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** The same of float64. */
export function float64From(bytes: Uint8Array): Float64Array {
  return new Float64Array(new Uint8Array(bytes).buffer);
}

/** 4_750_000 -> "4.75 MB" (SI units, as disks and networks count). */
export function formatBytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  // From 999.5 on, three digits would round up to the next unit.
  while (value >= (unit === 0 ? 1000 : 999.5) && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const whole = unit === 0 || value >= 1000;
  return `${whole ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}

/** Bytes as lower-case hex digits. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The bytes of hex digits, in memory of their own. */
export function bytesFrom(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}
