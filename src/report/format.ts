/** What a cell shows where a method has no such figure. */
export const ABSENT = '–';

/** A score, an index or a coefficient: three decimals, as everywhere in the report. */
export function formatScore(value: number | undefined): string {
  return value === undefined ? ABSENT : value.toFixed(3);
}

/** A difference of two scores: three decimals, always with a sign; a true minus keeps columns aligned. */
export function formatDifference(value: number): string {
  const digits = Math.abs(value).toFixed(3);
  if (Number(digits) === 0) return `±${digits}`;
  return `${value < 0 ? '−' : '+'}${digits}`;
}

/** 1188354 -> "1,188,354". */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** A duration as people read it: "420 ms", "12.4 s", "7 min 05 s", "2 h 03 min". */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes < 60) return `${minutes} min ${String(rest).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** A share of a whole in per cent, one decimal. */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** An ISO 8601 instant to the minute in UTC: "2026-03-01 09:30 UTC". */
export function formatInstant(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** "1 group", "7 groups". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
