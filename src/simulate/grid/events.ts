import type { ErrorCode } from '../../core/errors.ts';
import type { RunEvent } from '../events.ts';

/** What the events of a cell call it. */
export interface CellNames {
  /** From 1. */
  readonly number: number;
  /** How many the grid has. */
  readonly cells: number;
  readonly folder: string;
  readonly setting: string;
  readonly seed: number;
}

/** What a grid tells besides what its runs tell. */
export type GridEvent =
  | {
      readonly type: 'grid';
      readonly name: string;
      readonly folder: string;
      readonly settings: readonly string[];
      readonly seeds: readonly number[];
      /** Whether seeds draw other groups to train on too; false where `data.splitSeed` or names fix them. */
      readonly seedsDrawSplits: boolean;
    }
  /** `state`: begun anew, gone on with, or found finished and only read. */
  | (CellNames & { readonly type: 'cell'; readonly state: 'new' | 'resumed' | 'finished' })
  /** The other cells go on; the grid ends with an error after the last. */
  | (CellNames & {
      readonly type: 'cell-failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | null;
    });

export type EmitGrid = (event: GridEvent | RunEvent) => void;
