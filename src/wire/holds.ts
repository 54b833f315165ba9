/** What the aggregator has of a run's models: the models, or sums of updates that only the groups open. */
export const HOLDS = ['clear', 'ciphertext'] as const;
export type Holds = (typeof HOLDS)[number];
