/** Calls to the aggregator, and what can go wrong with them in the form of its own errors. */

/** An error as the aggregator states it; `code` is one of docs/errors.md. */
export class CallError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string | null} hint
   */
  constructor(code, message, hint) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

const UNREACHABLE = 'See whether "pluralllm aggregator serve" is running and this browser can reach it.';

/**
 * Errors: what the aggregator answers; AGGREGATOR_UNREACHABLE without an answer, AGGREGATOR_FAILED for one in no known form.
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<unknown>}
 */
async function call(path, options) {
  const response = await fetch(path, { cache: 'no-store', credentials: 'omit', ...options }).catch(
    (thrown) => {
      if (options.signal?.aborted) throw thrown;
      throw new CallError('AGGREGATOR_UNREACHABLE', 'the aggregator does not answer', UNREACHABLE);
    },
  );
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const { code, message, hint } = body?.error ?? {};
  if (typeof code !== 'string' || typeof message !== 'string') {
    const what = `the aggregator answered with status ${response.status} and no reason`;
    throw new CallError('AGGREGATOR_FAILED', what, 'Its log may say more, or that of a proxy before it.');
  }
  throw new CallError(code, message, typeof hint === 'string' ? hint : null);
}

/**
 * A public answer. It comes from the page's own server, so its form is taken for granted.
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function get(path, signal) {
  return call(path, signal === undefined ? {} : { signal });
}

/**
 * A call by the people who run the aggregator. The key goes into a header and nowhere else.
 * @param {string} key
 * @param {'POST' | 'DELETE'} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export function administer(key, method, path, body) {
  // A header can carry no other characters; fetch would fail with a message about byte strings.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    const message = 'this cannot be an admin key: it has characters that keys do not have';
    throw new CallError('ADMIN_KEY_REQUIRED', message, 'Forget it and paste the key again.');
  }
  /** @type {Record<string, string>} */
  const headers = { authorization: `Bearer ${key}` };
  if (body === undefined) return call(path, { method, headers });
  headers['content-type'] = 'application/json';
  return call(path, { method, headers, body: JSON.stringify(body) });
}

/**
 * One part of a path. A browser drops `.` and `..` from paths, encoded or not, and would call another route.
 * @param {string} text
 */
export function segment(text) {
  if (text !== '.' && text !== '..') return encodeURIComponent(text);
  const hint = 'Revoke this group by the command line.';
  throw new CallError('REQUEST_MALFORMED', `a browser cannot name the group "${text}" in a path`, hint);
}
