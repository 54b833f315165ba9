import type { PluralError } from '../core/errors.ts';
import type { Task } from '../wire/http.ts';

/** What happens on a group's side of a run, for whoever shows it. */
export type GroupEvent =
  /** The aggregator's phase or round is another than when last looked at. */
  | {
      readonly type: 'phase';
      readonly phase: Task['phase'];
      readonly round: number;
      readonly rounds: number;
      /** Whether this group is among those asked. */
      readonly asked: boolean;
      readonly failure: string | null;
    }
  /** A newer model was checked and fetched. */
  | { readonly type: 'model'; readonly round: number; readonly model: string; readonly updates: number }
  | {
      readonly type: 'score';
      readonly round: number;
      readonly alignment: number;
      readonly questions: number;
      /** Whether the aggregator was told. */
      readonly told: boolean;
    }
  | { readonly type: 'training'; readonly round: number; readonly step: number }
  | { readonly type: 'trained'; readonly round: number; readonly step: number; readonly loss: number }
  | {
      readonly type: 'transfer';
      readonly direction: 'up' | 'down';
      readonly doneBytes: number;
      readonly allBytes: number;
    }
  /** The aggregator has this group's part of the step. */
  | { readonly type: 'sent'; readonly round: number; readonly step: number; readonly digest: string }
  /** It did not take it; the task is looked at again. */
  | {
      readonly type: 'refused';
      readonly round: number;
      readonly step: number;
      readonly code: string;
      readonly message: string;
    }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'ended'; readonly phase: 'finished' | 'stopped'; readonly round: number };

export type EmitGroupEvent = (event: GroupEvent) => void;

/** A failure that is waited out, as an event of a command. */
export interface RetryEvent {
  readonly type: 'retry';
  readonly code: PluralError['code'];
  readonly message: string;
  readonly waitMs: number;
}
