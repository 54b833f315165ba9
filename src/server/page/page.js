import { Admin } from './admin.js';
import { CallError, get } from './api.js';
import { byId, setText } from './dom.js';
import { Feed, POLL_MS } from './feed.js';
import { makeFigures } from './figures.js';
import { showGroups } from './groups.js';
import { showDeadline, showHead } from './head.js';
import { showKeepers } from './keepers.js';
import { showConnection, showFailure, showNoRun, showNothing, showStale } from './notices.js';
import { showErrors, showModels } from './records.js';
import { chooseRun, runInAddress, showRuns } from './runs.js';
import { now, refreshTimes, setClock } from './times.js';

/** The status page: reads the aggregator's public answers and shows one run, live. */

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */
/** @typedef {import('../../wire/http.ts').RunSummary} RunSummary */

/** While a run is shown, others matter less. */
const LIST_POLL_MS = 15_000;

/** @type {readonly RunSummary[]} */
let runs = [];
/** @type {string | null} */
let chosen = null;
/** @type {RunStatus | null} */
let status = null;
/** @type {Feed | null} */
let feed = null;
let answeredAt = 0;

const showFigures = makeFigures();
const admin = new Admin(() => {
  if (status !== null) show(status);
  feed?.refresh();
});

/** @param {string} id */
const at = (id) => byId(id, HTMLElement);

/** @param {RunStatus} answer */
function show(answer) {
  status = answer;
  at('nothing').hidden = true;
  at('run').hidden = false;
  at('to-admin').hidden = false;
  showHead(answer);
  showGroups(answer, (item, group) => admin.decorate(item, group));
  showKeepers(answer);
  showFigures(answer);
  showErrors(answer);
  showModels(answer);
  admin.show(answer);
}

/** @param {RunStatus} answer */
function receive(answer) {
  if (answer.run !== chosen) return;
  answeredAt = now();
  showStale(null, answeredAt);
  show(answer);
  runs = runs.map((run) => (run.run === answer.run ? answer : run));
  showRuns(runs, chosen);
}

/** @param {CallError} error */
function complain(error) {
  if (status === null) showFailure(error, chosen);
  else showStale(error, answeredAt);
}

/** @param {string} run */
function follow(run) {
  if (run === chosen) return;
  feed?.close();
  [chosen, status] = [run, null];
  showStale(null, answeredAt);
  showNothing(`Asking for ${run}…`, '');
  showRuns(runs, chosen);
  feed = new Feed(run, { status: receive, failure: complain, connection: connected });
  feed.start();
}

/** @param {import('./feed.js').Connection} state */
function connected(state) {
  showConnection(state);
  // After a break it may be another version, or the clocks may have drifted.
  if (state === 'live') readAggregator();
}

async function readAggregator() {
  /** @type {import('../../wire/http.ts').AggregatorInfo | null} */
  const answer = await get('/v1/aggregator').catch(() => null);
  if (answer === null) return;
  setClock(answer.timeMs);
  setText(at('version'), answer.version);
  setText(at('aggregator-key'), answer.publicKey);
}

async function readRuns() {
  try {
    runs = (await get('/v1/runs')).runs;
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    if (chosen === null) complain(thrown);
    return;
  }
  const run = chosen ?? runInAddress() ?? chooseRun(runs);
  showRuns(runs, chosen);
  if (run !== null) return follow(run);
  showNoRun();
}

async function keepReading() {
  await readRuns();
  setTimeout(keepReading, chosen === null ? POLL_MS : LIST_POLL_MS);
}

function listen() {
  addEventListener('hashchange', () => {
    const run = runInAddress();
    if (run !== null) follow(run);
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) feed?.refresh();
  });
  byId('skip', HTMLElement).addEventListener('click', (event) => {
    // Not by the address: it names the run.
    event.preventDefault();
    at('main').focus();
  });
  at('to-admin').addEventListener('click', () => {
    at('admin').scrollIntoView();
    const field = byId('admin-key', HTMLInputElement);
    (field.checkVisibility() ? field : at('admin-title')).focus({ preventScroll: true });
  });
  setInterval(() => {
    refreshTimes();
    if (status !== null) showDeadline(status);
  }, 1000);
}

listen();
readAggregator();
const named = runInAddress();
if (named !== null) follow(named);
keepReading();
