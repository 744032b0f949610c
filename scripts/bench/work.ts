// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a benchmark is: a batch of equal operations that checks its own result, so that nothing
 * wins by doing less.
 *
 * @module
 */

/** One batch. @throws {Error} If its result is wrong. */
export type Batch = () => Promise<void>;

/**
 * Makes the batch of `size` operations; a peer loads its package here, outside the time measured.
 * Gives `undefined` where the peer cannot be had: it is then absent from the row.
 */
export type Prepare = (size: number) => Batch | undefined | Promise<Batch | undefined>;

/** The same work done by us and by others. */
export interface Case {
  /** Unique, kebab-case: the key in `bench.json`. */
  id: string;
  /** The heading under which its table stands. */
  group: string;
  /** The row, as printed. */
  title: string;
  /** Operations of one batch, 1 ms to 10 ms of work of ours. */
  size: number;
  /** Measured in the short form too, by which the gate judges. @default {false} */
  quick?: boolean;
  /** Ours spawns tasks or switches greenlets, which makes awaits dearer on Node before 24. @default {false} */
  ambient?: boolean;
  /** By name: `baozi` is ours and always there, the others are peers. */
  contestants: { baozi: Prepare } & Record<string, Prepare>;
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
