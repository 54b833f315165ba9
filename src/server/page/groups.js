import { byId, element, keyed, setBar, setText, showText } from './dom.js';
import { bytes, count, plural, shortened } from './format.js';
import { setAgo, timeElement } from './times.js';

/** Who is awaited and why, and who is in the run. At most SHOWN of each are in the page; a search finds the others. */

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */
/** @typedef {import('../../wire/http.ts').Awaited} Awaited */
/** @typedef {RunStatus['members'][number]} Member */

const SHOWN = 50;
/** From this many groups on there is something to search. */
const SEARCH_FROM = 13;
/** Longest text of a group or a reason that is shown. */
const NAME = 120;
const WHY = 200;

/**
 * A name from outside: it cannot turn around the text beside it, whatever direction its letters have.
 * @param {string} group
 */
export function nameElement(group) {
  return element('bdi', { title: group.length > NAME ? shortened(group, 300) : null }, [
    shortened(group, NAME),
  ]);
}

/**
 * @template {{ group: string }} T
 * @param {readonly T[]} items
 */
function matching(items) {
  const wanted = byId('group-search', HTMLInputElement).value.trim().toLowerCase();
  return wanted === '' ? items : items.filter(({ group }) => group.toLowerCase().includes(wanted));
}

/**
 * @param {string} id
 * @param {number} found
 */
function showMore(id, found) {
  showText(byId(id, HTMLElement), found > SHOWN ? `and ${count(found - SHOWN)} more` : '');
}

/** @param {Awaited} item */
function awaitedRow({ group }) {
  const upload = [element('small'), element('progress', { 'aria-label': 'Upload' })];
  return element('tr', {}, [
    element('th', { scope: 'row' }, [nameElement(group)]),
    element('td', { class: 'words' }, [element('bdi')]),
    element('td', { class: 'upload' }, upload),
    element('td', { class: 'seen' }, [timeElement()]),
  ]);
}

/**
 * @param {HTMLElement} row
 * @param {Awaited} item
 */
function updateAwaited(row, { why, lastSeenAt, uploadedBytes, uploadBytes }) {
  const [reason, bar, note, time] = [
    row.querySelector('td bdi'),
    row.querySelector('progress'),
    row.querySelector('small'),
    row.querySelector('time'),
  ];
  if (reason === null || bar === null || note === null || time === null) return;
  setText(reason, shortened(why, WHY));
  // Hidden by a class, which keeps its place: rows do not grow when a group begins to send.
  bar.classList.toggle('idle', uploadBytes === null);
  setBar(bar, uploadedBytes, uploadBytes ?? 1);
  setText(note, uploadBytes === null ? 'not begun' : `${bytes(uploadedBytes)} of ${bytes(uploadBytes)}`);
  setAgo(time, lastSeenAt);
}

/** @param {RunStatus} status */
function nobodyAwaited({ phase, groups, quorum, round }) {
  switch (phase) {
    case 'waiting':
      return `The run begins when ${plural(quorum, 'group')} have joined; ${count(groups)} ${groups === 1 ? 'has' : 'have'}.`;
    case 'collecting':
      return 'Nobody: every update of this step is in.';
    case 'folding':
      return `Nobody: the aggregator is making the model of round ${count(round)}.`;
    case 'finished':
      return 'Nobody: the run is finished.';
    case 'failed':
      return 'Nobody: the round failed. It can be started again.';
    case 'stopped':
      return 'Nobody: the run was stopped.';
  }
}

/** @param {RunStatus} status */
function showAwaited(status) {
  const { awaited } = status;
  const found = matching(awaited);
  setText(
    byId('awaited-title', HTMLElement),
    `Awaited${awaited.length > 0 ? `: ${count(awaited.length)}` : ''}`,
  );
  const nobody = awaited.length === 0 ? nobodyAwaited(status) : 'No awaited group has this in its name.';
  showText(byId('awaited-empty', HTMLElement), found.length === 0 ? nobody : '');
  byId('awaited-scroll', HTMLElement).hidden = found.length === 0;
  keyed(byId('awaited', HTMLElement), found.slice(0, SHOWN), {
    key: ({ group }) => group,
    create: awaitedRow,
    update: updateAwaited,
  });
  showMore('awaited-more', found.length);
}

/** @param {Member} member */
function memberItem({ group }) {
  return element('li', {}, [nameElement(group), timeElement()]);
}

/**
 * @param {readonly Member[]} members
 * @param {(item: HTMLElement, group: string) => void} decorate adds what only an administrator sees
 */
function showMembers(members, decorate) {
  const found = matching(members);
  setText(byId('members-title', HTMLElement), `In the run: ${count(members.length)}`);
  const nobody = members.length === 0 ? 'No group has joined yet.' : 'No group has this in its name.';
  showText(byId('members-empty', HTMLElement), found.length === 0 ? nobody : '');
  keyed(byId('members', HTMLElement), found.slice(0, SHOWN), {
    key: ({ group }) => group,
    create: memberItem,
    update: (item, { group, lastSeenAt }) => {
      const time = item.querySelector('time');
      if (time !== null) setAgo(time, lastSeenAt);
      decorate(item, group);
    },
  });
  showMore('members-more', found.length);
}

/**
 * @param {RunStatus} status
 * @param {(item: HTMLElement, group: string) => void} decorate
 */
export function showGroups(status, decorate) {
  const { awaited, members } = status;
  const search = byId('group-search', HTMLInputElement);
  const many = Math.max(awaited.length, members.length) >= SEARCH_FROM;
  byId('groups-filter', HTMLElement).hidden = !many && search.value === '';
  search.oninput = () => showGroups(status, decorate);
  showAwaited(status);
  showMembers(members, decorate);
}
