import { administer, get } from './api.js';
import { byId, setText } from './dom.js';
import { instant, plural } from './format.js';
import { showDone } from './outcome.js';

/** Making invitations: the words are in this page until they are copied and removed, and nowhere else. */

/** @typedef {import('../../wire/invitation.ts').Invitation} Invitation */

const PREFIX = 'pluralllm-invitation-1.';
const DAY_MS = 86_400_000;

/**
 * The word that `pluralllm group join` takes; the counterpart of `encodeInvitation` in wire/.
 * @param {Invitation} invitation
 */
export function invitationWord(invitation) {
  const utf8 = new TextEncoder().encode(JSON.stringify(invitation));
  const base64 = btoa(Array.from(utf8, (byte) => String.fromCharCode(byte)).join(''));
  return PREFIX + base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @param {string} id */
const input = (id) => byId(id, HTMLInputElement);
const words = () => byId('invitation-words', HTMLTextAreaElement);

/**
 * Asks for invitations as the form says and shows their words.
 * @param {string} key
 * @param {string} run
 * @param {() => boolean} wanted whether the page still shows this run to somebody with the key
 */
export async function makeInvitations(key, run, wanted) {
  const named = input('invite-group').value.trim();
  const group = named === '' ? null : named;
  const asked = {
    group,
    count: group === null ? input('invite-count').valueAsNumber : 1,
    expiresInMs: input('invite-days').valueAsNumber * DAY_MS,
  };
  // The key that groups will trust, asked for now: the page may be older than the aggregator's restart.
  const { publicKey: aggregatorKey } = await get('/v1/aggregator');
  const { tokens, expiresAt } = await administer(key, 'POST', `/v1/admin/runs/${run}/invitations`, asked);
  if (!wanted()) return;
  const url = location.origin;
  const made = tokens.map((/** @type {string} */ token) =>
    invitationWord({ url, run, aggregatorKey, token, group }),
  );
  const until = `valid until ${instant(expiresAt).slice(0, 16)}`;
  const title = `${plural(made.length, 'invitation')} to ${run}, ${until}. Each works once and is shown only now: send each to one group, in a way that you trust.`;
  setText(byId('invitations-title', HTMLElement), title);
  words().value = made.join('\n');
  byId('invitations', HTMLElement).hidden = false;
  words().focus();
  // At the beginning of the words, not scrolled to the end of the last.
  words().setSelectionRange(0, 0);
  words().scrollTo(0, 0);
}

/** Takes the words out of the page. */
export function removeInvitations() {
  words().value = '';
  byId('invitations', HTMLElement).hidden = true;
}

async function copyInvitations() {
  try {
    await navigator.clipboard.writeText(words().value);
  } catch {
    // Without HTTPS a page has no clipboard; the older way needs a selection.
    words().select();
    if (!document.execCommand('copy')) {
      showDone('This browser does not let the page copy. The words are selected: copy them by hand.');
      return;
    }
  }
  showDone('Copied.');
}

/** @param {(event: SubmitEvent) => void} submit */
export function prepareInvitations(submit) {
  byId('invite-form', HTMLFormElement).onsubmit = submit;
  byId('copy-invitations', HTMLButtonElement).onclick = copyInvitations;
  byId('close-invitations', HTMLButtonElement).onclick = removeInvitations;
  // An invitation with a name is for one group.
  input('invite-group').oninput = () => {
    input('invite-count').disabled = input('invite-group').value.trim() !== '';
  };
}
