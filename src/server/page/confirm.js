import { element } from './dom.js';

/** Questions before what cannot be undone: in the page, in the button's place. */

/** @type {WeakMap<HTMLButtonElement, () => void>} */
const closers = new WeakMap();

/**
 * Puts a question with two answers in the button's place. Escape and the second answer bring the button back; nothing
 * is done before the first.
 * @param {HTMLButtonElement} button
 * @param {{ question: string, yes: string, no: string, act: () => void }} choice
 */
export function confirmFirst(button, { question, yes, no, act }) {
  const agree = element('button', { type: 'button', class: 'danger' }, [yes]);
  const refuse = element('button', { type: 'button', class: 'plain' }, [no]);
  const text = element('span', { class: 'question' }, [question]);
  const group = element('span', { class: 'confirm', role: 'group', 'aria-label': question }, [
    text,
    agree,
    refuse,
  ]);
  const back = () => {
    closers.delete(button);
    group.remove();
    button.hidden = false;
    button.focus();
  };
  agree.onclick = () => {
    back();
    act();
  };
  refuse.onclick = back;
  group.onkeydown = (event) => {
    if (event.key === 'Escape') back();
  };
  button.hidden = true;
  button.after(group);
  closers.set(button, () => group.remove());
  // On the answer that does nothing: a second press of Enter must not stop a run.
  refuse.focus();
}

/**
 * Shows or hides a button that may have a question in its place; a question that is no more possible goes too.
 * @param {HTMLButtonElement} button
 * @param {boolean} possible
 */
export function offer(button, possible) {
  const close = closers.get(button);
  if (close === undefined) button.hidden = !possible;
  else if (!possible) {
    close();
    closers.delete(button);
  }
}
