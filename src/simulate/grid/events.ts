import type { RunEvent } from '../events.ts';

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
  | {
      readonly type: 'cell';
      readonly number: number;
      readonly cells: number;
      readonly folder: string;
      readonly setting: string;
      readonly seed: number;
      readonly state: 'new' | 'resumed' | 'finished';
    };

export type EmitGrid = (event: GridEvent | RunEvent) => void;
