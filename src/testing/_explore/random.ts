// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Random numbers that are the same in every run and on every runtime.
 *
 * @module
 */

// Source: mulberry32, by Tommy Ettinger. 32 bits of state are enough to pick among a few options.

/** A source of numbers in [0, 1), the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
