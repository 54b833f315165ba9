import { byId, element, keyed, setText, showText } from './dom.js';
import { ABSENT, bytes, count, plural, shortened } from './format.js';
import { nameElement } from './groups.js';
import { momentElement } from './times.js';

/** What happened: errors and refusals, and the models by round. Newest first. */

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */
/** @typedef {RunStatus['errors'][number]} RunError */
/** @typedef {import('../../wire/http.ts').RoundSummary} RoundSummary */

const ERRORS_SHOWN = 50;
const MODELS_SHOWN = 20;
const MESSAGE = 500;

let allModels = false;

/** @param {RunError} error */
function errorRow({ at, code, message, group }) {
  const what = [
    element('code', {}, [shortened(code, 64)]),
    ' ',
    element('bdi', {}, [shortened(message, MESSAGE)]),
  ];
  return element('tr', {}, [
    element('th', { scope: 'row' }, [momentElement(at)]),
    element('td', { class: 'words' }, what),
    group === null
      ? element('td', { class: 'words absent' }, [ABSENT])
      : element('td', { class: 'words', 'data-title': 'Group' }, [nameElement(group)]),
  ]);
}

/** @param {RunStatus} status */
export function showErrors({ errors }) {
  const newest = [...errors].sort((a, b) => b.at - a.at);
  showText(byId('errors-empty', HTMLElement), errors.length === 0 ? 'None so far.' : '');
  byId('errors-scroll', HTMLElement).hidden = errors.length === 0;
  keyed(byId('errors', HTMLElement), newest.slice(0, ERRORS_SHOWN), {
    key: (error) => JSON.stringify([error.at, error.code, error.message, error.group]),
    create: errorRow,
  });
  const more = errors.length - ERRORS_SHOWN;
  showText(byId('errors-more', HTMLElement), more > 0 ? `and ${count(more)} older` : '');
}

/** @param {RoundSummary} summary */
function modelRow({ round, model, updates, uploadedBytes, publishedAt }) {
  return element('tr', {}, [
    element('th', { scope: 'row' }, [round === 0 ? '0, the start' : count(round)]),
    element('td', { 'data-title': 'Updates' }, [count(updates)]),
    element('td', { 'data-title': 'Uploaded' }, [bytes(uploadedBytes)]),
    element('td', { 'data-title': 'Published' }, [momentElement(publishedAt)]),
    element('td', { class: 'words', 'data-title': 'SHA-256 of the parameters' }, [
      element('span', { class: 'digest' }, [model]),
    ]),
  ]);
}

/** @param {RunStatus} status */
export function showModels(status) {
  const { history } = status;
  const newest = [...history].sort((a, b) => b.round - a.round);
  const text =
    'The aggregator signs every digest, and each with the one before; groups check what they get against it.';
  setText(byId('models-text', HTMLElement), history.length === 0 ? 'No model is published yet.' : text);
  byId('models-scroll', HTMLElement).hidden = history.length === 0;
  keyed(byId('models', HTMLElement), allModels ? newest : newest.slice(0, MODELS_SHOWN), {
    key: ({ round, model }) => `${round} ${model}`,
    create: modelRow,
  });
  const more = history.length - MODELS_SHOWN;
  const button = byId('models-more', HTMLButtonElement);
  showText(button, more <= 0 ? '' : allModels ? 'Show fewer' : `Show ${plural(more, 'earlier model')}`);
  button.onclick = () => {
    allModels = !allModels;
    showModels(status);
  };
}
