import { administer, segment } from './api.js';
import { confirmFirst, offer } from './confirm.js';
import { byId, element, setText } from './dom.js';
import { count, plural, shortened } from './format.js';
import { makeInvitations, prepareInvitations, removeInvitations } from './invitations.js';
import { clearOutcome, showDone, showRefusal } from './outcome.js';
import { isOver } from './phase.js';

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */

/** What somebody with the admin key can do here. The key is in one private field: no storage, no address, no form. */
export class Admin {
  /** @type {string | null} */
  #key = null;
  /** @type {RunStatus | null} */
  #status = null;
  #changed;
  #start = byId('start-run', HTMLButtonElement);
  #stop = byId('stop-run', HTMLButtonElement);

  /** @param {() => void} changed called when there is something new to show */
  constructor(changed) {
    this.#changed = changed;
    const field = byId('admin-key', HTMLInputElement);
    byId('key-form', HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      this.#useKey(field.value.trim());
      field.value = '';
    };
    byId('forget-key', HTMLButtonElement).onclick = () => {
      this.#useKey('');
      field.focus();
    };
    byId('dismiss', HTMLButtonElement).onclick = clearOutcome;
    this.#start.onclick = () => this.#act('start', 'The run goes on.');
    this.#stop.onclick = () => this.#askToStop();
    prepareInvitations((event) => {
      event.preventDefault();
      this.#invite();
    });
  }

  /** @param {RunStatus} status */
  show(status) {
    if (status.run !== this.#status?.run) {
      removeInvitations();
      clearOutcome();
    }
    this.#status = status;
    const { phase, round, groups } = status;
    const unlocked = this.#key !== null;
    byId('key-form', HTMLFormElement).hidden = unlocked;
    byId('admin-panel', HTMLElement).hidden = !unlocked;
    byId('invite-form', HTMLElement).hidden = isOver(phase);
    const over = isOver(phase) ? ' This run is over: nothing can be started, stopped or joined.' : '';
    setText(byId('admin-stands', HTMLElement), `The admin key is in the memory of this page.${over}`);
    const again = `Open round ${count(round)} again`;
    setText(this.#start, phase === 'failed' ? again : `Start now with ${plural(groups, 'group')}`);
    this.#start.hidden = phase !== 'failed' && phase !== 'waiting';
    offer(this.#stop, !isOver(phase));
  }

  /**
   * Gives a group in the list its button, or takes it away.
   * @param {HTMLElement} item
   * @param {string} group
   */
  decorate(item, group) {
    const old = item.querySelector('button.revoke');
    if (this.#key === null) {
      if (old instanceof HTMLButtonElement) offer(old, false);
      old?.remove();
      return;
    }
    if (old !== null) return;
    const name = shortened(group, 60);
    const label = `Revoke ${name}`;
    const button = element('button', { type: 'button', class: 'plain revoke', 'aria-label': label }, [
      'Revoke',
    ]);
    button.onclick = () =>
      confirmFirst(button, {
        question: 'Revoke its key?',
        yes: 'Revoke',
        no: 'Keep',
        act: () => this.#revoke(group, `“${name}” is revoked: what it sends is refused from now on.`),
      });
    item.append(button);
  }

  /** @param {string} key empty forgets it */
  #useKey(key) {
    this.#key = key === '' ? null : key;
    removeInvitations();
    clearOutcome();
    if (this.#status !== null) this.show(this.#status);
    this.#changed();
    if (this.#key !== null) byId('admin-title', HTMLElement).focus();
  }

  #askToStop() {
    confirmFirst(this.#stop, {
      question: 'Stop this run for good? Its last model stays; no round can follow.',
      yes: 'Stop it',
      no: 'Let it run',
      act: () => this.#act('stop', 'The run is stopped.'),
    });
  }

  /**
   * @param {'start' | 'stop'} verb
   * @param {string} done
   */
  #act(verb, done) {
    return this.#perform(done, (key, run) => administer(key, 'POST', `/v1/admin/runs/${run}/${verb}`));
  }

  /**
   * @param {string} group
   * @param {string} done
   */
  #revoke(group, done) {
    return this.#perform(done, (key, run) =>
      administer(key, 'DELETE', `/v1/admin/runs/${run}/groups/${segment(group)}`),
    );
  }

  #invite() {
    return this.#perform('', (key, run) =>
      makeInvitations(key, run, () => this.#key === key && this.#status?.run === run),
    );
  }

  /**
   * @param {string} done the sentence for success; empty where the page shows it otherwise
   * @param {(key: string, run: string) => Promise<unknown>} work
   */
  async #perform(done, work) {
    if (this.#key === null || this.#status === null) return;
    clearOutcome();
    const panel = byId('admin-panel', HTMLElement);
    panel.setAttribute('aria-busy', 'true');
    try {
      await work(this.#key, this.#status.run);
      if (done !== '') showDone(done);
    } catch (thrown) {
      showRefusal(thrown);
    } finally {
      panel.removeAttribute('aria-busy');
    }
    this.#changed();
  }
}
