import type { Provenance } from '../data/survey.ts';
import type { GroupScore, SplitName, Summary } from '../evaluate/evaluation.ts';

/** One evaluation on the way: after `round` rounds, which took `step` optimiser steps per group. */
export interface CurvePoint {
  readonly round: number;
  readonly step: number;
  /** Mean training loss since the point before; null before the first step. */
  readonly loss: number | null;
  readonly summaries: Readonly<Partial<Record<SplitName, Summary>>>;
}

/** Where a curve had made 95% of its final improvement; null when it never improved. */
export interface ConvergencePoint {
  readonly round: number;
  readonly step: number;
  /** Bytes that one group had sent by then; 0 for methods that send none. */
  readonly uploadedBytes: number;
}

/** One way to obtain predictions: federated training, a comparison, or a baseline without training. */
export interface MethodRecord {
  /** `federated`, `centralised`, `centralised-round-matched`, `local-only`, `uniform`, `group-mean`, `similarity-mean`. */
  readonly id: string;
  readonly label: string;
  readonly kind: 'trained' | 'baseline';
  /** What the method must see to work, in words ("every group's answers in clear"). */
  readonly sees: string;
  /** Empty for baselines. */
  readonly curve: readonly CurvePoint[];
  readonly scores: readonly GroupScore[];
  readonly summaries: Readonly<Partial<Record<SplitName, Summary>>>;
  readonly convergence: ConvergencePoint | null;
  /** For local-only: scores of the best single local model on each split. */
  readonly best?: Readonly<Partial<Record<SplitName, Summary>>>;
  /** One sentence of caution where the figure needs one. */
  readonly note?: string;
}

/** The figures of methods side by side: of one run, or averaged over several. */
export type Figures = Pick<RunRecord, 'methods' | 'bytes' | 'split'>;

/** What a run leaves in `result.json`: everything the report shows. */
export interface RunRecord {
  readonly format: 1;
  readonly name: string;
  readonly seed: number;
  /** The frozen configuration with every default filled in, as YAML. */
  readonly configYaml: string;
  readonly configDigest: string;
  /** SHA-256 of the final model's parameter bytes. */
  readonly modelDigest: string;
  readonly survey: {
    readonly name: string;
    readonly questions: number;
    readonly groups: number;
    readonly answers: number;
    readonly provenance: Provenance;
  };
  /** What the import repaired or left out, one line each. */
  readonly warnings: readonly string[];
  readonly split: {
    readonly trainingGroups: readonly string[];
    readonly unseenGroups: readonly string[];
    readonly heldOutQuestions: number;
  };
  readonly features: { readonly provider: string; readonly width: number; readonly digest: string };
  readonly predictor: { readonly name: string; readonly parameters: number };
  readonly strategy: string;
  readonly protection: { readonly name: string; readonly reveals: 'rows' | 'sum' };
  readonly rounds: number;
  readonly localSteps: number;
  readonly contextQuestions: number;
  readonly draws: number;
  readonly methods: readonly MethodRecord[];
  readonly bytes: {
    readonly uploadPerGroupPerRound: number;
    readonly downloadPerGroupPerRound: number;
    readonly uploadTotal: number;
    readonly downloadTotal: number;
    readonly uploadPerParameter: number;
  };
  readonly phases: readonly { readonly name: string; readonly seconds: number }[];
  readonly environment: {
    readonly version: string;
    readonly commit: string | null;
    readonly node: string;
    readonly onnxruntime: string;
    readonly platform: string;
    readonly cpu: string;
    readonly cores: number;
    readonly workers: number;
    readonly device: string;
  };
  readonly startedAt: string;
  readonly finishedAt: string;
}
