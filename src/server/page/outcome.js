import { CallError } from './api.js';
import { byId, element } from './dom.js';

/** What became of the last act of an administrator; stays in sight, wherever on the page it was done. */

/** @param {readonly (Node | string)[]} done @param {readonly Node[]} failed */
function show(done, failed) {
  const [status, alert] = [byId('admin-done', HTMLElement), byId('admin-error', HTMLElement)];
  byId('outcome', HTMLElement).hidden = done.length === 0 && failed.length === 0;
  status.hidden = done.length === 0;
  status.replaceChildren(...done);
  alert.hidden = failed.length === 0;
  alert.replaceChildren(...failed);
}

export function clearOutcome() {
  show([], []);
}

/** @param {string} sentence */
export function showDone(sentence) {
  show([sentence], []);
}

/**
 * Shows code, message and hint of a refused call. Errors: what is no CallError goes on, it is a fault of this page.
 * @param {unknown} thrown
 */
export function showRefusal(thrown) {
  if (!(thrown instanceof CallError)) throw thrown;
  const what = element('p', {}, [
    element('code', {}, [thrown.code]),
    ' ',
    element('bdi', {}, [thrown.message]),
  ]);
  const hint = thrown.hint === null ? [] : [element('p', { class: 'quiet' }, [thrown.hint])];
  show([], [what, ...hint]);
}
