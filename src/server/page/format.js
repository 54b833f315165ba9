/** Figures and times in the words of the report; a dash where there is none. */

export const ABSENT = '–';

/**
 * A score or an index: three decimals.
 * @param {number | null | undefined} value
 */
export function score(value) {
  return value === null || value === undefined ? ABSENT : value.toFixed(3);
}

/**
 * 1188354 -> "1,188,354".
 * @param {number} value
 */
export function count(value) {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/**
 * "1 group", "7 groups".
 * @param {number} value
 * @param {string} noun
 */
export function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/**
 * 4_750_000 -> "4.75 MB", as the command line counts.
 * @param {number} value
 */
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [rest, unit] = [value, 0];
  while (rest >= (unit === 0 ? 1000 : 999.5) && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${unit === 0 || rest >= 1000 ? Math.round(rest) : rest.toPrecision(3)} ${units[unit]}`;
}

/** @param {number} value */
const two = (value) => String(value).padStart(2, '0');

/**
 * A time that runs: "7 s", "4 min 07 s", "2 h 03 min", "3 d 04 h".
 * @param {number} ms
 */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours} h ${two(minutes % 60)} min`
    : `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** Below this a group counts as here; a clock that is a little off does not matter. */
const JUST_NOW_MS = 5000;

/**
 * How long ago, in one unit: "just now", "42 s ago", "3 d ago".
 * @param {number} atMs
 * @param {number} nowMs
 */
export function ago(atMs, nowMs) {
  const ms = nowMs - atMs;
  if (ms < JUST_NOW_MS) return 'just now';
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}

/**
 * Time of day in the browser's time zone: "09:30:07".
 * @param {number} atMs
 */
export function timeOfDay(atMs) {
  const at = new Date(atMs);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
}

/**
 * "2026-03-01 09:30:07" in the browser's time zone.
 * @param {number} atMs
 */
export function instant(atMs) {
  const at = new Date(atMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${timeOfDay(atMs)}`;
}

/**
 * The text with an ellipsis where it is longer than `most` characters. The bound keeps a hostile name or a list of a
 * thousand groups from filling the screen.
 * @param {string} text
 * @param {number} most
 */
export function shortened(text, most) {
  const characters = [...text.slice(0, 2 * most + 2)];
  return characters.length <= most && text.length <= 2 * most + 2
    ? text
    : `${characters.slice(0, most - 1).join('')}…`;
}
