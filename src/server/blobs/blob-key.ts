import { invariant } from '../../core/errors.ts';

/** No part begins with a dot: no key leaves the store's folder or meets a hidden file of the store itself. */
const KEY = /^[a-z0-9-][a-z0-9.-]*(?:\/[a-z0-9-][a-z0-9.-]*)*$/;

/** Refuses, as INTERNAL, a key that is no relative path of `[a-z0-9-./]`: our code makes keys, not a request. */
export function checkKey(key: string): void {
  invariant(KEY.test(key) && !key.includes('..'), `"${key}" is a key of a blob`);
}

/** Refuses, as INTERNAL, a range that is not of whole bytes at or after the start. */
export function checkRange(offset: number, length: number): void {
  const whole = [offset, length].every((value) => Number.isSafeInteger(value) && value >= 0);
  invariant(whole, `${length} bytes from ${offset} on are a range`);
}
