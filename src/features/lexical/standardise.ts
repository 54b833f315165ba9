/** Beyond this many standard deviations a value is an outlier that would drown the rest. */
const CLIP_STDDEVS = 6;

/**
 * Z-scores of a column over all its rows, clipped to +-6; a constant column becomes zeros.
 * Units: population standard deviations.
 */
export function standardise(column: Float64Array): Float64Array {
  const count = column.length;
  const first = column[0];
  if (column.every((value) => value === first)) return new Float64Array(count);
  const mean = column.reduce((sum, value) => sum + value, 0) / count;
  const variance = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  const stddev = Math.sqrt(variance);
  return column.map((value) => Math.max(-CLIP_STDDEVS, Math.min(CLIP_STDDEVS, (value - mean) / stddev)));
}
