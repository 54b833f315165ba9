/** Asks for the opinion of one group on some questions. Answers are looked up in the survey by whoever predicts. */
export interface PredictionRequest {
  /** Index into `Survey.groups`. */
  readonly group: number;
  /** Indices of the questions whose answers the group tells, ascending. */
  readonly context: readonly number[];
  /** Indices of the questions to predict, ascending, none of them in the context. */
  readonly targets: readonly number[];
}

/** One distribution per target, in the order of the request, each of shape [options of the question]. */
export type Predict = (request: PredictionRequest) => Promise<readonly (Float64Array | Float32Array)[]>;
