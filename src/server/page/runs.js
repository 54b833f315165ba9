import { byId, element, keyed, setText, showText } from './dom.js';
import { count, plural } from './format.js';
import { isOver, PHASES } from './phase.js';

/** The list of runs, and the choice of one by the address: #run=<id>. */

/** @typedef {import('../../wire/http.ts').RunSummary} RunSummary */

/** Runs that are shown at first, on a wide page and on a narrow one. */
const SHOWN = { wide: 20, narrow: 1 };
const WIDE = matchMedia('(min-width: 1000px)');

let expanded = false;

/** The run that the address names; null where it names none. */
export function runInAddress() {
  return /^#run=([a-z0-9][a-z0-9-]{0,62})$/.exec(location.hash)?.[1] ?? null;
}

/** @param {string} run */
function addressOf(run) {
  return `#run=${run}`;
}

/**
 * The run to show where the address names none: the newest that is not over, else the newest. From then on the address
 * names it.
 * @param {readonly RunSummary[]} runs
 */
export function chooseRun(runs) {
  const newest = newestFirst(runs);
  const chosen = newest.find(({ phase }) => !isOver(phase)) ?? newest[0];
  if (chosen !== undefined) history.replaceState(null, '', addressOf(chosen.run));
  return chosen?.run ?? null;
}

/** @param {readonly RunSummary[]} runs */
function newestFirst(runs) {
  return [...runs].sort((a, b) => b.createdAt - a.createdAt || (a.run < b.run ? -1 : 1));
}

/**
 * The first few, and the chosen one wherever it stands.
 * @param {readonly RunSummary[]} runs
 * @param {string | null} chosen
 */
function shownOf(runs, chosen) {
  const most = WIDE.matches ? SHOWN.wide : SHOWN.narrow;
  if (expanded || runs.length <= most) return runs;
  const own = runs.filter(({ run }) => run === chosen);
  const others = runs.filter(({ run }) => run !== chosen).slice(0, most - own.length);
  return runs.filter((run) => own.includes(run) || others.includes(run));
}

/** @param {RunSummary} summary */
function runItem({ run }) {
  const name = element('strong', {}, [run]);
  return element('li', {}, [element('a', { href: addressOf(run) }, [name, element('small')])]);
}

/**
 * @param {HTMLElement} item
 * @param {RunSummary} summary
 * @param {string | null} chosen
 */
function updateItem(item, { run, phase, round, rounds }, chosen) {
  const [link, note] = [item.querySelector('a'), item.querySelector('small')];
  if (link === null || note === null) return;
  link.dataset['phase'] = phase;
  if (run === chosen) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
  const place = round === 0 ? plural(rounds, 'round') : `round ${count(round)} of ${count(rounds)}`;
  // The line may break between the phase and the place only.
  setText(note, `${PHASES[phase]} · ${place.replaceAll(' ', '\u00a0')}`);
}

/**
 * Shows the runs, newest first.
 * @param {readonly RunSummary[]} runs
 * @param {string | null} chosen
 */
export function showRuns(runs, chosen) {
  byId('runs', HTMLElement).hidden = runs.length === 0;
  // With nothing to choose from, the text takes the place of the list.
  byId('frame', HTMLElement).classList.toggle('single', runs.length === 0);
  const shown = shownOf(newestFirst(runs), chosen);
  keyed(byId('run-list', HTMLElement), shown, {
    key: ({ run }) => run,
    create: runItem,
    update: (item, run) => updateItem(item, run, chosen),
  });
  const more = runs.length - shown.length;
  const button = byId('runs-more', HTMLButtonElement);
  showText(button, more > 0 ? `Show ${count(more)} more` : expanded ? 'Show fewer' : '');
  button.onclick = () => {
    expanded = !expanded;
    showRuns(runs, chosen);
  };
  WIDE.onchange = () => showRuns(runs, chosen);
}
