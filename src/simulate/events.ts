import type { SplitName, Summary } from '../evaluate/evaluation.ts';

/** What a run tells while it goes on: shown as progress, written to metrics.jsonl, printed by --json. */
export type RunEvent =
  | { readonly type: 'start'; readonly name: string; readonly folder: string; readonly configDigest: string }
  | { readonly type: 'warning'; readonly message: string }
  /** `label` begins, at round `round` of `rounds` (above 0 when resumed). */
  | {
      readonly type: 'begin';
      readonly method: string;
      readonly label: string;
      readonly round: number;
      readonly rounds: number;
    }
  | {
      readonly type: 'round';
      readonly method: string;
      readonly round: number;
      readonly rounds: number;
      readonly loss: number;
    }
  /** One local model of the local-only comparison is trained. */
  | {
      readonly type: 'local-model';
      readonly group: string;
      readonly model: number;
      readonly models: number;
      readonly loss: number;
    }
  | {
      readonly type: 'evaluation';
      readonly method: string;
      readonly round: number;
      readonly step: number;
      readonly summaries: Readonly<Partial<Record<SplitName, Summary>>>;
    }
  | { readonly type: 'end'; readonly method: string }
  | { readonly type: 'done'; readonly folder: string; readonly report: string; readonly modelDigest: string };

export type Emit = (event: RunEvent) => void;
