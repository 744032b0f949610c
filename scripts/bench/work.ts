// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a benchmark is: a batch of equal operations that checks its own result, so that nothing
 * wins by doing less.
 *
 * @module
 */

/** One row of the table. */
export interface Work {
  name: string;
  /** Operations per batch. */
  ops: number;
  /** Runs one batch. @throws {Error} If the result is wrong. */
  run(): Promise<void>;
  /** The same batch with std's `Channel`. */
  std?: () => Promise<void>;
}

/** Throws unless the batch did all its work. */
export function check(got: number, expected: number): void {
  if (got !== expected) {
    throw new Error(`Cannot count batch: its sum must be ${expected}, got ${got}`);
  }
}

/** What 0 + 1 + … + (count - 1) comes to. */
export function sumBelow(count: number): number {
  return count * (count - 1) / 2;
}
