import { byId, element, keyed, setText } from './dom.js';
import { count, shortened } from './format.js';
import { setAgo, timeElement } from './times.js';

/** Who keeps the stages of a sharded run, and who stands by. Other runs have none, and no such section. */

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */
/** @typedef {RunStatus['keepers'][number]} KeeperSeat */

/** Digits of a key that are shown; all are in its title. */
const KEY_DIGITS = 24;

/** @param {KeeperSeat} seat */
function keeperRow({ publicKey, stage }) {
  return element('tr', {}, [
    element('th', { scope: 'row' }, [count(stage)]),
    element('td', { class: 'words', 'data-title': 'Part' }),
    element('td', { class: 'words', 'data-title': 'Public key' }, [
      element('span', { class: 'digest', title: publicKey }, [shortened(publicKey, KEY_DIGITS)]),
    ]),
    element('td', { class: 'seen', 'data-title': 'Last seen' }, [timeElement()]),
  ]);
}

/**
 * @param {HTMLElement} row
 * @param {KeeperSeat} seat
 */
function updateKeeper(row, { keeps, lastSeenAt }) {
  const [part, time] = [row.querySelector('td'), row.querySelector('time')];
  if (part === null || time === null) return;
  setText(part, keeps ? 'keeps it' : 'stands by');
  setAgo(time, lastSeenAt);
}

/** @param {RunStatus} status */
export function showKeepers({ keepers }) {
  byId('keepers-part', HTMLElement).hidden = keepers.length === 0;
  keyed(byId('keepers', HTMLElement), keepers, {
    key: ({ publicKey }) => publicKey,
    create: keeperRow,
    update: updateKeeper,
  });
}
