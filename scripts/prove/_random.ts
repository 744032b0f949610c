// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Random choices of a proof, the same for the same seed.
 *
 * @module
 */

import { seeded } from "../../tests/seeded.ts";

/** A source of choices. */
export class Random {
  /** A number in [0, 1). */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seeded(seed);
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** `true` with a chance of `chance`. */
  chance(chance: number): boolean {
    return this.next() < chance;
  }

  /** One of `list`. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}
