import { CallError, get } from './api.js';

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */
/** @typedef {'connecting' | 'live' | 'reconnecting'} Connection */

/** Every kind of event of a run; all mean the same to this page: look again. */
const EVENT_TYPES = [
  ...['joined', 'left', 'asked', 'received', 'folding', 'published'],
  ...['scored', 'failed', 'finished', 'stopped', 'refused', 'accused'],
];
/** Shortest time between two questions for the status. */
const THROTTLE_MS = 1000;
/** Without the stream the page asks this often. */
export const POLL_MS = 5000;
/** With it too, but rarely: a connection can be dead without an error. */
const SAFETY_POLL_MS = 30_000;
/** How exactly these times are kept. */
const TICK_MS = 500;
/** A browser gives up a stream that was answered with an error; this long after, the page opens a new one. */
const REOPEN_MS = 5000;

/** Follows one run: its status now, after every event, and by the clock while there is no stream. */
export class Feed {
  /** @type {string} */
  #run;
  /** @type {{ status: (status: RunStatus) => void, failure: (error: CallError) => void, connection: (state: Connection) => void }} */
  #on;
  /** @type {EventSource | null} */
  #stream = null;
  #ended = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #asking;
  #again = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #reopening;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;

  /**
   * @param {string} run
   * @param {{ status: (status: RunStatus) => void, failure: (error: CallError) => void, connection: (state: Connection) => void }} on
   */
  constructor(run, on) {
    this.#run = run;
    this.#on = on;
  }

  start() {
    this.#on.connection('connecting');
    this.#open();
    this.refresh();
    this.#clock = setInterval(() => this.#poll(), TICK_MS);
  }

  close() {
    this.#ended.abort();
    this.#stream?.close();
    clearTimeout(this.#asking);
    clearTimeout(this.#reopening);
    clearInterval(this.#clock);
  }

  /** Asks for the status soon, at most once per THROTTLE_MS; what happens while an answer is on its way makes it ask again. */
  refresh() {
    if (this.#asking !== undefined) {
      this.#again = true;
      return;
    }
    const waitMs = Math.max(0, this.#askedAt + THROTTLE_MS - performance.now());
    this.#asking = setTimeout(() => this.#ask(), waitMs);
  }

  async #ask() {
    this.#again = false;
    this.#askedAt = performance.now();
    try {
      this.#on.status(await get(`/v1/runs/${this.#run}`, this.#ended.signal));
    } catch (thrown) {
      if (this.#ended.signal.aborted) return;
      if (!(thrown instanceof CallError)) throw thrown;
      this.#on.failure(thrown);
    } finally {
      this.#asking = undefined;
      if (this.#again && !this.#ended.signal.aborted) this.refresh();
    }
  }

  #poll() {
    const live = this.#stream?.readyState === EventSource.OPEN;
    const silentMs = performance.now() - this.#askedAt;
    if (silentMs >= (live ? SAFETY_POLL_MS : POLL_MS)) this.refresh();
  }

  #open() {
    const stream = new EventSource(`/v1/runs/${this.#run}/events`);
    this.#stream = stream;
    for (const type of EVENT_TYPES) stream.addEventListener(type, () => this.refresh());
    stream.onopen = () => {
      this.#on.connection('live');
      this.refresh();
    };
    stream.onerror = () => {
      this.#on.connection('reconnecting');
      if (stream.readyState === EventSource.CLOSED) {
        this.#reopening = setTimeout(() => this.#open(), REOPEN_MS);
      }
    };
  }
}
