import { element, setText } from './dom.js';
import { ABSENT, ago, duration, instant, timeOfDay } from './format.js';

/** Times that go on by themselves between two answers, on the aggregator's clock. */

let offsetMs = 0;

/**
 * Sets this page's clock by the aggregator's: a reader's computer may be minutes off.
 * @param {number} aggregatorMs
 */
export function setClock(aggregatorMs) {
  offsetMs = aggregatorMs - Date.now();
}

/** Milliseconds since 1970 on the aggregator's clock. */
export function now() {
  return Date.now() + offsetMs;
}

/** An element for `setAgo`. */
export function timeElement() {
  return element('time', {});
}

/**
 * Shows how long ago something was, and keeps it up to date; null is shown as "not seen yet".
 * @param {HTMLTimeElement} target
 * @param {number | null} atMs
 */
export function setAgo(target, atMs) {
  if (atMs === null) {
    delete target.dataset['ago'];
    target.removeAttribute('datetime');
    target.removeAttribute('title');
    setText(target, 'not seen yet');
    return;
  }
  stamp(target, atMs);
  target.title = instant(atMs);
  target.dataset['ago'] = String(atMs);
  setText(target, ago(atMs, now()));
}

/**
 * An element that shows a moment: the time of day for today, else with its date.
 * @param {number} atMs
 */
export function momentElement(atMs) {
  const today = instant(atMs).slice(0, 10) === instant(now()).slice(0, 10);
  const made = element('time', { title: instant(atMs) }, [today ? timeOfDay(atMs) : instant(atMs)]);
  stamp(made, atMs);
  return made;
}

/**
 * Not every number is a moment that a Date can hold; what is none gets no machine-readable form.
 * @param {HTMLTimeElement} target
 * @param {number} atMs
 */
function stamp(target, atMs) {
  const at = new Date(atMs);
  if (!Number.isNaN(at.getTime())) target.dateTime = at.toISOString();
}

/**
 * What is left until a deadline.
 * @param {number | null} atMs
 */
export function countdown(atMs) {
  if (atMs === null) return ABSENT;
  const leftMs = atMs - now();
  return leftMs > 0 ? duration(leftMs) : 'passed';
}

/** Brings all relative times up to date. */
export function refreshTimes() {
  for (const target of document.querySelectorAll('time[data-ago]')) {
    if (target instanceof HTMLElement) setText(target, ago(Number(target.dataset['ago']), now()));
  }
}
