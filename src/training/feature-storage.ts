/** How the table of feature vectors is stored on devices that keep it. */
export const FEATURE_STORAGE = ['float32', 'float16'] as const;
export type FeatureStorage = (typeof FEATURE_STORAGE)[number];
