/** What a phase is called, and whether it can still change. */

/** @typedef {import('../../wire/http.ts').RunSummary} RunSummary */

/** @type {Readonly<Record<RunSummary['phase'], string>>} */
export const PHASES = {
  waiting: 'Waiting for groups',
  collecting: 'Collecting updates',
  folding: 'Adding up updates',
  finished: 'Finished',
  failed: 'Failed',
  stopped: 'Stopped',
};

/** @param {RunSummary['phase']} phase */
export function isOver(phase) {
  return phase === 'finished' || phase === 'stopped';
}
