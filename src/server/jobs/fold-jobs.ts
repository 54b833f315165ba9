import type { PluralError } from '../../core/errors.ts';

/** Does the fold of one round; safe to do twice, at once or one after the other. */
export type FoldWork = (run: string, round: number) => Promise<void>;

/** Is told of each failure: of a fold, or, where run and round are null, of the queue itself. */
export type FoldErrorListener = (error: PluralError, run: string | null, round: number | null) => void;

/** Who folds, and when: at once in this process, or one of several replicas by a job queue. */
export interface FoldJobs {
  /** Asks for a fold. Asking again before it is done adds nothing; one that failed is tried again. */
  request(run: string, round: number): Promise<void>;
  /** Begins to work. */
  start(work: FoldWork): Promise<void>;
  /** Takes no more work and waits for what is under way. */
  stop(): Promise<void>;
}
