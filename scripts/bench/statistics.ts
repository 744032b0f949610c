// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What the rounds come to.
 *
 * @module
 */

/** The middle of `values`. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which the part `at` of `values` lies, between neighbours in proportion. */
export function quantile(values: readonly number[], at: number): number {
  if (values.length === 0) throw new RangeError("Cannot take quantile: values must not be empty");
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place - Math.floor(place));
}
