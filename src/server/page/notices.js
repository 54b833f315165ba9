import { byId, setText, showText } from './dom.js';
import { POLL_MS } from './feed.js';
import { timeOfDay } from './format.js';

/** What the page says of itself: whether it is live, and why there is nothing, or nothing new, to see. */

/** With a space that does not break. */
const EVERY = `every ${POLL_MS / 1000}\u00a0s`;

/** @param {string} id */
const at = (id) => byId(id, HTMLElement);

/** @param {import('./feed.js').Connection | 'looking'} state */
export function showConnection(state) {
  const texts = {
    connecting: 'connecting',
    live: 'live',
    reconnecting: `reconnecting, asking ${EVERY}`,
    looking: `looking ${EVERY}`,
  };
  at('connection').dataset['state'] = state;
  setText(at('connection'), texts[state]);
}

/**
 * Says in place of a run why there is none.
 * @param {string} title
 * @param {string} text
 * @param {boolean} [command] whether the command that starts a run helps
 */
export function showNothing(title, text, command = false) {
  at('run').hidden = true;
  at('to-admin').hidden = true;
  at('nothing').hidden = false;
  setText(at('nothing-title'), title);
  showText(at('nothing-text'), text);
  at('nothing-command').hidden = !command;
  document.title = 'pluralllm aggregator';
}

/** For an aggregator without runs. */
export function showNoRun() {
  showConnection('looking');
  const text = `Start one on the computer that has the admin key. The page looks again ${EVERY}.`;
  showNothing('No run yet.', text, true);
}

/**
 * For a run that was seen, while its status cannot be had; null when it can again.
 * @param {import('./api.js').CallError | null} error
 * @param {number} answeredAt when it was last seen, on the aggregator's clock
 */
export function showStale(error, answeredAt) {
  const last = `What you see is from ${timeOfDay(answeredAt)}; the page asks again ${EVERY}.`;
  showText(at('stale'), error === null ? '' : `No news: ${error.message} (${error.code}). ${last}`);
}

/**
 * For a run that was not seen yet.
 * @param {import('./api.js').CallError} error
 * @param {string | null} run
 */
export function showFailure({ code, message, hint }, run) {
  if (code === 'AGGREGATOR_UNKNOWN_RUN') {
    const text = 'It may have been removed, or the address is of another one.';
    showNothing(`This aggregator has no run “${run}”.`, text);
  } else {
    showNothing(`No answer: ${message}.`, `${hint ?? ''} The page asks again ${EVERY}.`.trim());
  }
}
