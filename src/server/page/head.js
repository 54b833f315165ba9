import { byId, element, keyed, setBar, setText, showText } from './dom.js';
import { bytes, count, instant, plural, score, shortened, timeOfDay } from './format.js';
import { missingScores } from './known.js';
import { PHASES } from './phase.js';
import { countdown } from './times.js';

/** The top of a run: what it waits for in one sentence, how far it is, and five figures. */

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */

/** A failure names every missing group, which may be a thousand. */
const HEADLINE = 180;
const WHOLE = 20_000;

/** @param {string} id */
const at = (id) => byId(id, HTMLElement);

/**
 * Rounds whose model is published.
 * @param {RunStatus} status
 */
export function publishedRounds({ history }) {
  return history.reduce((most, { round }) => Math.max(most, round), 0);
}

/** @param {RunStatus} status */
function placeOf({ round, rounds }) {
  return round === 0 ? `${plural(rounds, 'round')} to come` : `round ${count(round)} of ${count(rounds)}`;
}

/** @param {RunStatus} status */
function showSentence({ summary, phase, failure }) {
  setText(at('summary'), shortened(summary, HEADLINE));
  const long = shortened(summary, HEADLINE) !== summary;
  at('summary-whole').hidden = !long;
  setText(at('summary-text'), long ? shortened(summary, WHOLE) : '');
  const untold = phase === 'failed' && failure !== null && !summary.includes(failure);
  showText(at('failure'), untold ? shortened(failure, WHOLE) : '');
}

/** @param {RunStatus} status */
function showPlace(status) {
  const phase = at('phase');
  phase.dataset['phase'] = status.phase;
  setText(phase, `${PHASES[status.phase]}, ${placeOf(status)}`);
  const published = publishedRounds(status);
  setText(at('published'), `${count(published)} of ${count(status.rounds)} published`);
  setBar(byId('rounds-bar', HTMLProgressElement), published, status.rounds);
}

/** @param {RunStatus} status */
function showReplies({ phase, replied, asked, step, quorum }) {
  const asking = phase === 'collecting' || (phase === 'folding' && asked > 0);
  setText(at('replied'), asking ? `${count(replied)} of ${count(asked)}` : score(null));
  const named = step === null || !asking ? '' : `step “${shortened(step, 40)}”, `;
  setText(at('replied-note'), `${named}quorum ${count(quorum)}`);
  const bar = byId('replied-bar', HTMLProgressElement);
  bar.hidden = !asking;
  setBar(bar, replied, asked);
}

/** @param {RunStatus} status */
function showScores({ scores, holds }) {
  const last = scores.reduce(
    (best, row) => (best === undefined || row.round > best.round ? row : best),
    scores[0],
  );
  setText(at('alignment'), score(last?.mean));
  setText(at('fairness'), score(last?.fairnessIndex));
  if (last === undefined) {
    const { note } = missingScores(holds);
    setText(at('alignment-note'), note);
    setText(at('fairness-note'), note);
    return;
  }
  const of = `after round ${count(last.round)}`;
  const worst = last.worst === null ? '' : `; worst ${score(last.worst)}`;
  setText(at('alignment-note'), `mean of ${plural(last.groups, 'group')} ${of}${worst}`);
  setText(at('fairness-note'), `${of}; variation ${score(last.coefficientOfVariation)}`);
}

/** @param {RunStatus} status */
function showTraffic({ history }) {
  const total = history.reduce((sum, { uploadedBytes }) => sum + uploadedBytes, 0);
  const last = history.reduce(
    (best, row) => (best === undefined || row.round > best.round ? row : best),
    history[0],
  );
  setText(at('uploaded'), bytes(total));
  const none = last === undefined || last.round === 0;
  setText(
    at('uploaded-note'),
    none ? 'no round published yet' : `${bytes(last.uploadedBytes)} in round ${count(last.round)}`,
  );
}

/**
 * What changes with the clock alone.
 * @param {RunStatus} status
 */
export function showDeadline({ deadlineAt }) {
  setText(at('deadline'), countdown(deadlineAt));
  setText(at('deadline-note'), deadlineAt === null ? 'none now' : `at ${timeOfDay(deadlineAt)}`);
}

/** @param {RunStatus} status */
export function showHead(status) {
  const { run, strategy, protection, parameters, createdAt, digest } = status;
  const facts = [
    `strategy ${shortened(strategy, 40)}`,
    `protection ${shortened(protection, 40)}`,
    plural(parameters, 'parameter'),
    `made ${instant(createdAt).slice(0, 16)}`,
  ];
  setText(at('run-name'), run);
  const parts = facts.map((fact, i) => (i < facts.length - 1 ? `${fact} · ` : fact));
  keyed(at('run-facts'), parts, { key: (part) => part, create: (part) => element('span', {}, [part]) });
  setText(at('run-digest'), digest);
  showSentence(status);
  showPlace(status);
  showReplies(status);
  showDeadline(status);
  showScores(status);
  showTraffic(status);
  document.title = `${PHASES[status.phase]}, ${placeOf(status)} · ${run} · pluralllm`;
}
